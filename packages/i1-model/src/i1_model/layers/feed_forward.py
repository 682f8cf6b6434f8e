"""The per-token networks of a transformer block."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from i1_model.layers.linear import Linear
from i1_model.ops.matmul import last_axis, sum_of_rows
from i1_model.ops.remat import saved

FeedForwardName = Literal["swiglu", "gelu"]


class SwiGLU(nnx.Module):
    """`w3(silu(a) * b)` with `[a, b] = w12(x)` and inner width `int(2/3 int(width ratio))`.

    ArXiv 2002.05202.
    """

    def __init__(self, width: int, ratio: float, key: Array) -> None:
        inner = int(2 / 3 * int(width * ratio))
        key_in, key_out = jax.random.split(key)
        self.w12 = Linear(width, 2 * inner, key_in)
        self.w3 = Linear(inner, width, key_out)

    def __call__(self, x: Array) -> Array:
        """Maps (..., width) to (..., width)."""
        gate, value = _biased_halves(self.w12.product(x), self.w12.bias[...].astype(x.dtype))
        return self.w3(saved(jax.nn.silu(gate) * value, "inner"))


@jax.custom_vjp
def _biased_halves(y: Array, bias: Array) -> tuple[Array, Array]:
    """Returns both halves of `y + bias` along the last axis; y (..., 2 W), bias (2 W,) of the same dtype.

    The gradient of the bias is a matrix product of each half: an accelerator's matrix unit sums rows several
    times faster than its vector unit.
    """
    gate, value = jnp.split(y + last_axis(bias, y.ndim), 2, axis=-1)
    return gate, value


def _biased_halves_backward(_: None, grads: tuple[Array, Array]) -> tuple[Array, Array]:
    sums = [sum_of_rows(grad) for grad in grads]
    return jnp.concatenate(grads, axis=-1), jnp.concatenate(sums)


_biased_halves.defvjp(lambda y, bias: (_biased_halves(y, bias), None), _biased_halves_backward)


class GeluMLP(nnx.Module):
    """`fc2(gelu(fc1(x)))` with the tanh approximation of GELU and inner width `int(width ratio)`."""

    def __init__(self, width: int, ratio: float, key: Array) -> None:
        inner = int(width * ratio)
        key_in, key_out = jax.random.split(key)
        self.fc1 = Linear(width, inner, key_in)
        self.fc2 = Linear(inner, width, key_out)

    def __call__(self, x: Array) -> Array:
        """Maps (..., width) to (..., width)."""
        return self.fc2(saved(jax.nn.gelu(self.fc1(x), approximate=True), "inner"))


FeedForward = SwiGLU | GeluMLP


def make_feed_forward(name: FeedForwardName, width: int, ratio: float, key: Array) -> FeedForward:
    """Returns the feed-forward network of that name."""
    return SwiGLU(width, ratio, key) if name == "swiglu" else GeluMLP(width, ratio, key)
