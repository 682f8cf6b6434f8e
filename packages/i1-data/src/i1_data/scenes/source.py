"""The scenes as a random-access source: record i depends on the seed and i alone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from i1_hooks import UserError
from i1_scenes.vocabulary import CATEGORIES

from i1_data.scenes.captions import describe
from i1_data.scenes.layout import draw_scene
from i1_data.scenes.render import render
from i1_data.sources.base import Record, SourceConfig

WEIGHTS = (0.04, 0.2, 0.18, 0.04, 0.23, 0.26, 0.05)


@dataclass(frozen=True, kw_only=True)
class ScenesSource(SourceConfig):
    """Endless variety of captioned 64x64 scenes.

    Attributes:
        num_records: how many records the source has.
        seed: which records.
        weights: relative frequency of each category, in the order of `CATEGORIES`.
        captions_per_record: paraphrases with each picture.
    """

    num_records: int = 10_000_000
    seed: int = 0
    weights: tuple[float, ...] = WEIGHTS
    captions_per_record: int = 3

    def build(self) -> Scenes:
        """Returns the source.

        Raises:
            UserError: for weights that do not match the categories.
        """
        if len(self.weights) != len(CATEGORIES) or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise UserError(
                f"scenes: weights {self.weights} must be {len(CATEGORIES)} numbers >= 0, one for each of "
                f"{', '.join(CATEGORIES)}, and not all 0"
            )
        return Scenes(self)


class Scenes:
    """The records of a `ScenesSource`."""

    def __init__(self, config: ScenesSource) -> None:
        self.config = config

    def __len__(self) -> int:
        return self.config.num_records

    def __getitem__(self, index: int) -> Record:
        """Returns record `index`: `image` uint8 (64, 64, 3), `captions` and `key`."""
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        rng = Random(f"scenes/{self.config.seed}/{index}")
        category = rng.choices(CATEGORIES, self.config.weights)[0]
        scene = draw_scene(category, rng)
        captions = [describe(scene, rng) for _ in range(self.config.captions_per_record)]
        return {"image": render(scene), "captions": captions, "key": f"scenes-{self.config.seed}-{index}"}
