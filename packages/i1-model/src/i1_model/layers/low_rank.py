"""The low-rank addition to a linear layer (LoRA)."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float


class LowRank(nnx.Module):
    """`scale * (x A) B`, computed in the dtype of `x`; zero before training, since B starts at zero.

    ArXiv 2106.09685, without dropout.

    Args:
        shape: shape of the kernel that it adds to, (in, out), with any leading layer axes.
        rank: columns of A.
        scale: alpha / rank.
        key: random key of A, which is uniform within `1 / sqrt(in)` of zero; A and B are float32.
    """

    def __init__(self, shape: tuple[int, ...], rank: int, scale: float, key: Array) -> None:
        *layers, in_width, out_width = shape
        bound = 1 / math.sqrt(in_width)
        self.a = nnx.Param(jax.random.uniform(key, (*layers, in_width, rank), jnp.float32, -bound, bound))
        self.b = nnx.Param(jnp.zeros((*layers, rank, out_width), jnp.float32))
        self.scale = scale

    def __call__(
        self, x: Float[Array, "*S I"], columns: Callable[[Array], Array] = lambda b: b
    ) -> Float[Array, "*S O"]:
        """Maps (..., in) to (..., out).

        Args:
            x: the input of the linear layer.
            columns: selects or reorders the last axis of B, as the layer does with the columns of its kernel.
        """
        narrow = jnp.dot(x, self.a[...].astype(x.dtype)) * jnp.asarray(self.scale, x.dtype)
        return jnp.dot(narrow, columns(self.b[...]).astype(x.dtype))
