"""When checkpoints are written, and which of them are kept."""

from __future__ import annotations

from dataclasses import dataclass

from i1_train.checks import require_at_least


@dataclass(frozen=True, kw_only=True)
class Checkpointing:
    """When checkpoints are written, and which of them are kept.

    Attributes:
        every: steps between checkpoints; the last step always gets one.
        keep: how many of the newest checkpoints are kept.
        keep_every: checkpoints at multiples of this step are never deleted; 0 for none.
        keep_best: how many checkpoints with the lowest held-out loss are kept; 0 for none.
    """

    every: int = 1000
    keep: int = 3
    keep_every: int = 0
    keep_best: int = 0

    def __post_init__(self) -> None:
        require_at_least(1, self, ("every", "keep"), "checkpoints.")
        require_at_least(0, self, ("keep_every", "keep_best"), "checkpoints.")
