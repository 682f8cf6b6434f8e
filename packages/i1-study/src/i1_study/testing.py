"""The conformance suite of studies; the built-ins run it too.

Subclass it in a test file and set its attribute; pytest does the rest.
"""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

from i1_hooks import override
from i1_hooks.testing import ComponentSuite
from i1_train.parts import build_parts

from i1_study.base import StudyConfig, check_arms


class StudySuite(ComponentSuite[StudyConfig]):
    """What every study must do; nothing is trained.

    Example:
        class TestMine(StudySuite):
            component = MyStudy()
    """

    def test_it_asks_one_question(self) -> None:
        assert self.component.question().endswith("?")

    def test_arms_can_be_compared(self) -> None:
        check_arms(self.component.arms())

    def test_arms_differ_in_nothing_but_the_axis(self) -> None:
        first, *others = (arm.recipe for arm in self.component.arms())
        for other in others:
            for field in ("optimizer", "schedule", "batch_size", "steps", "seed", "average", "objective"):
                assert getattr(other, field) == getattr(first, field), field

    def test_arms_take_settings(self) -> None:
        assert {override(arm.recipe, ["steps=7"]).steps for arm in self.component.arms()} == {7}

    def test_every_recipe_can_be_built(self) -> None:
        for arm in self.component.arms():
            build_parts(arm.recipe)

    def test_published_numbers_belong_to_arms(self) -> None:
        published = self.component.published()
        if published is None:
            return
        assert set(published.scores) <= {arm.name for arm in self.component.arms()}
        assert all(len(scores) == len(published.metrics) for scores in published.scores.values())
        assert published.source
