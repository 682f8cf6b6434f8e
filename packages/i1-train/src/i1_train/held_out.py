"""Which pictures are held out of training, and how often their loss is measured."""

from __future__ import annotations

from dataclasses import dataclass

from i1_data.sources import SourceConfig
from i1_hooks import UserError


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Which pictures, and how often.

    Attributes:
        sources: collections of pictures that training does not visit; empty for no held-out loss.
        every: steps between measurements; the last step has one too.
        num_images: how many pictures, rounded up to whole batches.
        times: where each picture's loss is measured, in [0, 1].
    """

    sources: tuple[SourceConfig, ...] = ()
    every: int = 500
    num_images: int = 64
    times: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)

    def __post_init__(self) -> None:
        for name in ("every", "num_images"):
            if getattr(self, name) < 1:
                raise UserError(f"held_out.{name} must be at least 1, got {getattr(self, name)}")
        if not self.times or min(self.times) < 0 or max(self.times) > 1:
            raise UserError(f"held_out.times must be numbers from 0 to 1, at least one, got {self.times}")
