"""Guidances that project one velocity on the other before they combine them."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from i1_hooks import UserError
from jax import Array
from jaxtyping import Float

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.shapes import Scalar, State


@dataclass(frozen=True, kw_only=True)
class ZeroStar(GuidanceConfig):
    """CFG-Zero*: the unconditional velocity is first scaled to fit the conditional one.

    `v = a u + w (c - a u)` with `a = <c, u> / |u|^2` per example; the velocity is zero before `zero_until`.
    https://arxiv.org/abs/2503.18886

    Attributes:
        zero_until: nothing moves before this time, in [0, 1]. The paper zeroes the first 4% of equal steps
            (0.04); 0 turns that off.
    """

    zero_until: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.zero_until <= 1:
            raise UserError(f"guidance 'cfg_zero_star': zero_until must be in [0, 1], got {self.zero_until}")

    def combine(self, conditional: State, unconditional: State, scale: Scalar, t: Scalar) -> State:
        """Returns the guided velocity."""
        fitted = _project(conditional, unconditional)
        return jnp.where(t >= self.zero_until, fitted + scale * (conditional - fitted), 0.0)


@dataclass(frozen=True, kw_only=True)
class AdaptiveProjected(GuidanceConfig):
    """Adaptive projected guidance, without momentum: the part of `c - u` along c is weakened.

    `v = c + (w - 1) (d - (1 - eta) d_c)` with d = c - u, shortened to `norm_threshold`, and d_c its
    projection on c. The published method projects data predictions; here velocities, as is usual for flow
    models.
    https://arxiv.org/abs/2410.02416

    Attributes:
        eta: how much of the parallel part stays; 0 none, 1 gives classifier-free guidance.
        norm_threshold: longest allowed norm of c - u per example; 0 for no limit.
    """

    eta: float = 0.0
    norm_threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.norm_threshold < 0:
            raise UserError(
                "guidance 'adaptive_projected': norm_threshold must be 0 (off) or positive, "
                f"got {self.norm_threshold}"
            )

    def combine(self, conditional: State, unconditional: State, scale: Scalar, t: Scalar) -> State:
        """Returns the guided velocity."""
        del t
        difference = conditional - unconditional
        if self.norm_threshold > 0:
            norm = jnp.sqrt(_inner(difference, difference))
            difference = difference * jnp.minimum(1.0, self.norm_threshold / jnp.maximum(norm, 1e-8))
        parallel = _project(difference, conditional)
        return conditional + (scale - 1) * (difference - (1 - self.eta) * parallel)


def _inner(a: State, b: State) -> Float[Array, "B ..."]:
    """Returns the inner product of each example, (B, 1, ...)."""
    return jnp.sum(a * b, axis=tuple(range(1, a.ndim)), keepdims=True)


def _project(a: State, b: State) -> State:
    """Returns the projection of each example of a on b, 0 where b is 0."""
    return b * (_inner(a, b) / jnp.maximum(_inner(b, b), 1e-12))
