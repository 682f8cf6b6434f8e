"""Which images are held out of training, and how often their loss is measured."""

from __future__ import annotations

from dataclasses import dataclass

from i1_data.sources import SourceConfig
from i1_hooks import UserError

from i1_train.checks import require_at_least


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The held-out loss: on which images, at which times, and how often.

    Attributes:
        sources: collections of images that are not trained on; empty for no held-out loss.
        every: steps between measurements; the last step always has one.
        num_images: number of images, rounded up to whole batches.
        times: times in [0, 1] at which the loss of each image is measured.
    """

    sources: tuple[SourceConfig, ...] = ()
    every: int = 500
    num_images: int = 64
    times: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)

    def __post_init__(self) -> None:
        require_at_least(1, self, ("every", "num_images"), "held_out.")
        if not self.times or min(self.times) < 0 or max(self.times) > 1:
            raise UserError(f"held_out.times must be numbers from 0 to 1, at least one, got {self.times}")
