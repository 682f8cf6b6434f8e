"""What a guidance is, with the one that does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from i1_hooks import ComponentConfig

if TYPE_CHECKING:
    from i1_sample.shapes import Scalar, State


class GuidanceConfig(ComponentConfig, kind="guidances"):
    """Base of every guidance; the configuration is the guidance.

    A scale of 1 means no guidance, whatever the kind: sampling then never evaluates the unconditional branch.

    Attributes:
        uses_unconditional: whether `combine` reads the unconditional velocity.
    """

    uses_unconditional: ClassVar[bool] = True

    def combine(self, conditional: State, unconditional: State, scale: Scalar, t: Scalar) -> State:
        """Returns the guided velocity; pure, jittable, each row independent of the others.

        Args:
            conditional: (B, ...) velocity given the prompt.
            unconditional: (B, ...) velocity given the null caption.
            scale: w, scalar float32.
            t: scalar float32 time, 0 at noise.

        Returns:
            (B, ...).
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define combine()")


@dataclass(frozen=True, kw_only=True)
class NoGuidance(GuidanceConfig):
    """The conditional velocity alone."""

    uses_unconditional: ClassVar[bool] = False

    def combine(self, conditional: State, unconditional: State, scale: Scalar, t: Scalar) -> State:
        """Returns the conditional velocity."""
        del unconditional, scale, t
        return conditional
