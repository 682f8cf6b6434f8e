"""The conformance suite of studies; the built-ins run it too.

Subclass it in a test file and set its attribute; pytest does the rest.
"""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

from i1_hooks import from_dict, override, to_dict
from i1_train.parts import build_parts

from i1_study.base import StudyConfig, check_arms


class StudySuite:
    """What every study must do; nothing is trained.

    Example:
        class TestMine(StudySuite):
            study = MyStudy()
    """

    study: StudyConfig

    def test_config_survives_json(self) -> None:
        assert from_dict(StudyConfig, to_dict(self.study)) == self.study

    def test_it_asks_one_question(self) -> None:
        assert self.study.question().endswith("?")

    def test_arms_can_be_compared(self) -> None:
        check_arms(self.study.arms())

    def test_arms_differ_in_nothing_but_the_axis(self) -> None:
        first, *others = (arm.recipe for arm in self.study.arms())
        for other in others:
            for field in ("optimizer", "schedule", "batch_size", "steps", "seed", "ema_decay", "objective"):
                assert getattr(other, field) == getattr(first, field), field

    def test_arms_take_settings(self) -> None:
        assert {override(arm.recipe, ["steps=7"]).steps for arm in self.study.arms()} == {7}

    def test_every_recipe_can_be_built(self) -> None:
        for arm in self.study.arms():
            build_parts(arm.recipe)

    def test_published_numbers_belong_to_arms(self) -> None:
        published = self.study.published()
        if published is None:
            return
        assert set(published.scores) <= {arm.name for arm in self.study.arms()}
        assert all(len(scores) == len(published.metrics) for scores in published.scores.values())
        assert published.source
