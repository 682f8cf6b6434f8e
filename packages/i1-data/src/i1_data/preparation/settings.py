"""What a preparation is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from i1_hooks import UserError

from i1_data.buckets import Size, check_buckets
from i1_data.filters import FilterConfig
from i1_data.sources import SourceConfig

Storage = Literal["png", "webp", "jpeg"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Everything that decides the bytes of a prepared set.

    Attributes:
        source: where the records come from; with `strict` false, those that cannot be read are left out,
            counted and listed in the manifest.
        resolution: edge of the square pictures, in pixels.
        buckets: (height, width) pairs in pixels; every picture gets the one nearest to its own aspect. With
            none, pictures are squares.
        filters: a record must pass all of them, in this order; the manifest counts what each removed.
        storage: how pictures are stored: `"png"`, `"webp"` (without loss) or `"jpeg"` (quality 95).
        background: what shows through transparent pixels, red, green and blue; `None` drops the transparency
            alone, as in the published records.
        records_per_shard: records of the source that are prepared into one file.

    Raises:
        UserError: for a number out of range.
    """

    source: SourceConfig
    resolution: int
    buckets: tuple[Size, ...] = ()
    filters: tuple[FilterConfig, ...] = ()
    storage: Storage = "png"
    background: tuple[int, int, int] | None = None
    records_per_shard: int = 1000

    def __post_init__(self) -> None:
        check_buckets(self.buckets)
        for name in ("resolution", "records_per_shard"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.background is not None and not all(0 <= value <= 255 for value in self.background):
            raise UserError(f"background must be three numbers from 0 to 255, got {self.background}")
