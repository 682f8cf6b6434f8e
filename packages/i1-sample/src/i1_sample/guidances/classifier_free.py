"""Classifier-free guidance with the options that i1 was published with."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from i1_hooks import UserError

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.shapes import Scalar, State


@dataclass(frozen=True, kw_only=True)
class ClassifierFree(GuidanceConfig):
    """`v = c + (w - 1) (c - u)`, rescaled towards the spread of c.

    The rescaling is `v (1 - phi + phi std(c) / (std(v) + 1e-8))`, std over all axes but the batch's.
    https://arxiv.org/abs/2207.12598, https://arxiv.org/abs/2305.08891

    Attributes:
        rescale: phi in [0, 1]; 0 is plain guidance.
        interval_start: guidance is off before this time, in [0, 1].
        interval_end: guidance is off after this time, in [0, 1]. https://arxiv.org/abs/2404.07724
    """

    rescale: float = 1.0
    interval_start: float = 0.0
    interval_end: float = 1.0

    def __post_init__(self) -> None:
        for name in ("rescale", "interval_start", "interval_end"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"guidance 'cfg': {name} must be in [0, 1], got {getattr(self, name)}")

    def combine(self, conditional: State, unconditional: State, scale: Scalar, t: Scalar) -> State:
        """Returns the guided velocity."""
        strength = jnp.where((t >= self.interval_start) & (t <= self.interval_end), scale - 1, 0.0)
        guided = conditional + strength * (conditional - unconditional)
        if self.rescale == 0:
            return guided
        axes = tuple(range(1, guided.ndim))
        ratio = jnp.std(conditional, axis=axes, keepdims=True) / (
            jnp.std(guided, axis=axes, keepdims=True) + 1e-8
        )
        return guided * (1 - self.rescale + self.rescale * ratio)
