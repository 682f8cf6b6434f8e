"""The conformance suite of studies; the built-ins run it too."""

from __future__ import annotations

import dataclasses

from i1_hooks import override
from i1_hooks.testing import ComponentSuite
from i1_train.parts import build_parts

from i1_study.base import StudyConfig, check_arms


class StudySuite(ComponentSuite[StudyConfig]):
    """What every study must do; subclass it in a test file. Nothing is trained.

    Attributes:
        axis: the fields of the recipe in which arms may differ, for example `("optimizer", "schedule")`.

    Example:
        class TestMine(StudySuite):
            component = MyStudy()
    """

    axis: tuple[str, ...] = ("model", "data")

    def test_it_asks_one_question(self) -> None:
        """The docstring begins with a question."""
        question = self.component.question()
        assert question.endswith("?"), f"the docstring begins with {question!r}, which is not a question"

    def test_arms_can_be_compared(self) -> None:
        """There are at least two arms, of different names and recipes."""
        check_arms(self.component.arms())

    def test_arms_differ_in_nothing_but_the_axis(self) -> None:
        """Arms differ in nothing but their name and the fields in `axis`, by default `model` and `data`."""
        first, *others = self.component.arms()
        for other in others:
            differing = {
                field.name
                for field in dataclasses.fields(first.recipe)
                if getattr(other.recipe, field.name) != getattr(first.recipe, field.name)
            }
            wrong = sorted(differing - {"recipe", *self.axis})
            assert not wrong, f"arms {first.name!r} and {other.name!r} also differ in {', '.join(wrong)}"

    def test_arms_take_settings(self) -> None:
        """`--set steps=7` changes every arm."""
        for arm in self.component.arms():
            steps = override(arm.recipe, ["steps=7"]).steps
            assert steps == 7, f"with steps=7 arm {arm.name!r} has {steps} steps"

    def test_every_recipe_can_be_built(self) -> None:
        """The parts of every arm's recipe can be built."""
        for arm in self.component.arms():
            build_parts(arm.recipe)

    def test_published_numbers_belong_to_arms(self) -> None:
        """Published numbers name arms, have one score for each metric, and a source."""
        published = self.component.published()
        if published is None:
            return
        unknown = set(published.scores) - {arm.name for arm in self.component.arms()}
        assert not unknown, f"numbers are published for {', '.join(sorted(unknown))}, which is no arm"
        for arm, scores in published.scores.items():
            counts = f"{len(scores)} scores for {len(published.metrics)} metrics"
            assert len(scores) == len(published.metrics), f"arm {arm!r} has {counts}"
        assert published.source, "the published numbers have no source"
