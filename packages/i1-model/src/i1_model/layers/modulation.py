"""Adaptive layer norm: shifts, scales and gates from a conditioning vector (arXiv 2212.09748)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from i1_model.layers.linear import Linear


class Modulation(nnx.Module):
    """`linear(silu(c))` cut into `chunks` vectors, in float32."""

    def __init__(self, width: int, chunks: int, key: Array) -> None:
        self.chunks = chunks
        self.linear = Linear(width, chunks * width, key)

    def __call__(self, condition: Array) -> list[Array]:
        """Maps (B, width) to `chunks` arrays (B, 1, width)."""
        return jnp.split(self.linear(jax.nn.silu(condition))[:, None, :], self.chunks, axis=-1)


@dataclass(frozen=True)
class Affine:
    """Shift, scale and gate of one residual branch, each (B, 1, width); without modulation all are absent."""

    shift: Array | None = None
    scale: Array | None = None
    gate: Array | None = None

    def enter(self, x: Array) -> Array:
        """Returns `x (1 + scale) + shift` in the dtype of `x`."""
        if self.scale is not None:
            x = x * (1 + self.scale.astype(x.dtype))
        return x if self.shift is None else x + self.shift.astype(x.dtype)

    def leave(self, x: Array) -> Array:
        """Returns `gate x` in the dtype of `x`."""
        return x if self.gate is None else x * self.gate.astype(x.dtype)


def branch_affines(modulation: Modulation | None, condition: Array | None) -> tuple[Affine, Affine]:
    """Returns the affine maps of a block's attention and feed-forward branch.

    Six chunks are shift, scale, gate of the first and of the second branch; four chunks lack the shifts.
    """
    if modulation is None or condition is None:
        return Affine(), Affine()
    parts = modulation(condition)
    if len(parts) == 6:
        return Affine(*parts[:3]), Affine(*parts[3:])
    return Affine(None, *parts[:2]), Affine(None, *parts[2:])
