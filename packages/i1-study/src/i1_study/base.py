"""What a study is: recipes that differ in one axis, beside what was published about that axis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from i1_data.scenes.source import ScenesSource
from i1_data.sources import SourceConfig
from i1_hooks import ComponentConfig, UserError
from i1_train.config import TrainConfig

Direction = Literal["higher", "lower", "mixed"]
HELD_OUT_SEED = 1_000_003
"""Of the scenes that the held-out loss is measured on; no recipe trains on them."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One of the recipes that are compared.

    Attributes:
        name: as in `"mlp"`.
        recipe: the whole training configuration; its `seed` is replaced by each seed of the study.
    """

    name: str
    recipe: TrainConfig


@dataclass(frozen=True, kw_only=True)
class Published:
    """What others measured on the same axis, higher being better.

    Attributes:
        metrics: names of the numbers.
        scores: per arm one number for each metric; an arm may be absent.
        source: where the numbers stand.
    """

    metrics: tuple[str, ...]
    scores: Mapping[str, tuple[float, ...]]
    source: str

    def direction(self, arm: str, reference: str) -> Direction | None:
        """Says whether an arm was published as better than the reference by every metric (`"higher"`), worse
        by every metric (`"lower"`) or neither (`"mixed"`); `None` without numbers of both.
        """
        if arm not in self.scores or reference not in self.scores:
            return None
        pairs = list(zip(self.scores[arm], self.scores[reference], strict=True))
        if all(a > r for a, r in pairs):
            return "higher"
        return "lower" if all(a < r for a, r in pairs) else "mixed"


@dataclass(frozen=True, kw_only=True)
class StudyConfig(ComponentConfig, ABC, kind="studies"):
    """Base of every study: subclass it as a frozen keyword-only dataclass whose docstring says what is asked.

    Example:
        >>> from dataclasses import dataclass
        >>> from i1_hooks import override
        >>> from i1_study.recipe import baseline
        >>> @dataclass(frozen=True, kw_only=True)
        ... class DepthStudy(StudyConfig):
        ...     '''Do more blocks help?'''
        ...     def arms(self):
        ...         deep = override(baseline(), ["model.backbone.depth=7"])
        ...         return Arm(name="5 blocks", recipe=baseline()), Arm(name="7 blocks", recipe=deep)
    """

    @abstractmethod
    def arms(self) -> tuple[Arm, ...]:
        """Returns the recipes, at least two; the first is the reference that the others are compared with."""

    def published(self) -> Published | None:
        """Returns what was published about this axis; `None`, the default, for nothing."""
        return None

    def held_out(self) -> SourceConfig:
        """Returns captioned images that no arm trains on; by default scenes of another seed."""
        return ScenesSource(seed=HELD_OUT_SEED, num_records=100_000)

    def question(self) -> str:
        """Returns the first line of the docstring."""
        return (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]


def check_arms(arms: tuple[Arm, ...]) -> None:
    """Checks that arms can be compared.

    Raises:
        UserError: for fewer than two, two of one name, or two that are the same recipe.
    """
    if len(arms) < 2:
        raise UserError(f"a study compares at least 2 arms, got {len(arms)}")
    for index, arm in enumerate(arms):
        for other in arms[:index]:
            if arm.name == other.name:
                raise UserError(f"two arms are called {arm.name!r}; give each its own name")
            if arm.recipe == other.recipe:
                raise UserError(
                    f"arms {other.name!r} and {arm.name!r} are the same recipe; a --set must not decide the "
                    "axis that is studied"
                )
