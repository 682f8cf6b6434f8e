"""Studies of the data: how unequal sets are weighted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from i1_data.config import DataConfig
from i1_data.mixings import BySizeMixing, EqualMixing, MixingConfig
from i1_data.scenes.source import ScenesSource
from i1_scenes.vocabulary import CATEGORIES
from i1_train.config import TrainConfig

from i1_study.base import Arm, Published, StudyConfig
from i1_study.model_axes import METRICS, PAPER
from i1_study.recipe import baseline

SIZES = {
    "colors": 98_000,
    "single_object": 13_700,
    "two_objects": 12_000,
    "counting": 9_400,
    "color_attr": 5_400,
    "position": 2_800,
    "words": 1_240,
}
"""Records of each set: a thousandth of seven published ones, the largest 79 times the smallest as there."""


@dataclass(frozen=True, kw_only=True)
class MixingStudy(StudyConfig):
    """Is visiting unequal sets equally often better than visiting every record equally often?

    Each category of scenes is a set of its own.
    """

    def arms(self) -> tuple[Arm, ...]:
        """Returns weighting by size, and equal weights."""
        return (
            Arm(name="by size", recipe=mixed(BySizeMixing())),
            Arm(name="equal", recipe=mixed(EqualMixing())),
        )

    def published(self) -> Published:
        """Returns the scores of proportional and of equal weights."""
        scores = {"by size": (84.66, 56.4, 0.211), "equal": (85.14, 58.2, 0.335)}
        return Published(
            metrics=METRICS, scores=scores, source=f"{PAPER}, figure of capped weights (cap 1.2 M is equal)"
        )


def mixed(mixing: MixingConfig) -> TrainConfig:
    """Returns the baseline on one set per category."""
    recipe = baseline()
    sources = tuple(
        ScenesSource(
            num_records=SIZES[category],
            seed=index + 1,
            weights=tuple(float(other == category) for other in CATEGORIES),
        )
        for index, category in enumerate(CATEGORIES)
    )
    data = DataConfig(sources=sources, resolution=recipe.data.resolution, mixing=mixing)
    return dataclasses.replace(recipe, data=data)
