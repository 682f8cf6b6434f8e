"""Adaptive layer norm: shifts, scales and gates from a conditioning vector (arXiv 2212.09748)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from i1_model.layers.linear import Linear


class Modulation(nnx.Module):
    """`linear(silu(vector))` split into `chunks` vectors, in float32."""

    def __init__(self, width: int, chunks: int, key: Array) -> None:
        self.chunks = chunks
        self.linear = Linear(width, chunks * width, key)

    def __call__(self, vector: Float[Array, "B W"]) -> list[Float[Array, "B 1 W"]]:
        """Maps (B, width) to `chunks` arrays (B, 1, width)."""
        return jnp.split(self.linear(jax.nn.silu(vector))[:, None, :], self.chunks, axis=-1)


@dataclass(frozen=True)
class BranchModulation:
    """How the conditioning changes one residual branch; without modulation all fields are None.

    Attributes:
        shift: (B, 1, width), added to the input of the branch.
        scale: (B, 1, width), multiplies the input of the branch as `1 + scale`.
        gates: (B, 1, width), multiplies the output of the branch.
    """

    shift: Array | None = None
    scale: Array | None = None
    gates: Array | None = None

    def modulate(self, x: Float[Array, "B S W"]) -> Float[Array, "B S W"]:
        """Returns `x (1 + scale) + shift` in the dtype of `x`."""
        if self.scale is not None:
            x = x * (1 + self.scale.astype(x.dtype))
        return x if self.shift is None else x + self.shift.astype(x.dtype)

    def gate(self, x: Float[Array, "B S W"]) -> Float[Array, "B S W"]:
        """Returns `gates x` in the dtype of `x`."""
        return x if self.gates is None else x * self.gates.astype(x.dtype)


def split_modulation(
    modulation: Modulation | None, vector: Array | None
) -> tuple[BranchModulation, BranchModulation]:
    """Returns the modulation of a block's attention branch and of its feed-forward branch.

    Six chunks are shift, scale and gates of the first branch, then of the second; four chunks lack the
    shifts.
    """
    if modulation is None or vector is None:
        return BranchModulation(), BranchModulation()
    parts = modulation(vector)
    if len(parts) == 6:
        return BranchModulation(*parts[:3]), BranchModulation(*parts[3:])
    return BranchModulation(None, *parts[:2]), BranchModulation(None, *parts[2:])
