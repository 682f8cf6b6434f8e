"""The per-token networks of a transformer block."""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError, unknown
from jax import Array
from jaxtyping import Float

from i1_model.layers.limits import MAX_INNER_WIDTH, check_positive, check_size
from i1_model.layers.linear import Linear
from i1_model.ops.matmul import last_axis, sum_over_rows
from i1_model.ops.remat import checkpoint_named

FeedForwardName = Literal["swiglu", "gelu"]


class SwiGLU(nnx.Module):
    """`w3(silu(a) * b)` with `[a, b] = w12(x)` and inner width `int(2/3 int(width ratio))`.

    ArXiv 2002.05202.
    """

    def __init__(self, width: int, ratio: float, key: Array) -> None:
        inner = _inner_width(width, ratio, 2 / 3)
        key_in, key_out = jax.random.split(key)
        self.w12 = Linear(width, 2 * inner, key_in)
        self.w3 = Linear(inner, width, key_out)

    def __call__(self, x: Float[Array, "*S W"]) -> Float[Array, "*S W"]:
        """Maps (..., width) to (..., width)."""
        gate, value = _biased_halves(self.w12.product(x), self.w12.bias[...].astype(x.dtype))
        return self.w3(checkpoint_named(jax.nn.silu(gate) * value, "inner"))


@jax.custom_vjp
def _biased_halves(y: Array, bias: Array) -> tuple[Array, Array]:
    """Returns both halves of `y + bias` along the last axis; y (..., 2 W), bias (2 W,) of the same dtype.

    The gradient of the bias is a matrix product of each half: an accelerator's matrix unit sums rows several
    times faster than its vector unit.
    """
    gate, value = jnp.split(y + last_axis(bias, y.ndim), 2, axis=-1)
    return gate, value


def _biased_halves_backward(_: None, grads: tuple[Array, Array]) -> tuple[Array, Array]:
    sums = [sum_over_rows(grad) for grad in grads]
    return jnp.concatenate(grads, axis=-1), jnp.concatenate(sums)


_biased_halves.defvjp(lambda y, bias: (_biased_halves(y, bias), None), _biased_halves_backward)


class GeluMLP(nnx.Module):
    """`fc2(gelu(fc1(x)))` with the tanh approximation of GELU and inner width `int(width ratio)`."""

    def __init__(self, width: int, ratio: float, key: Array) -> None:
        inner = _inner_width(width, ratio, 1.0)
        key_in, key_out = jax.random.split(key)
        self.fc1 = Linear(width, inner, key_in)
        self.fc2 = Linear(inner, width, key_out)

    def __call__(self, x: Float[Array, "*S W"]) -> Float[Array, "*S W"]:
        """Maps (..., width) to (..., width)."""
        return self.fc2(checkpoint_named(jax.nn.gelu(self.fc1(x), approximate=True), "inner"))


FeedForward = SwiGLU | GeluMLP


def make_feed_forward(name: FeedForwardName, width: int, ratio: float, key: Array) -> FeedForward:
    """Returns the feed-forward network of that name.

    Args:
        name: which network.
        width: of the tokens.
        ratio: inner width over width, before the 2/3 of SwiGLU.
        key: random key.

    Raises:
        UserError: for an unknown name, or a ratio that leaves no inner width.
    """
    if name not in get_args(FeedForwardName):
        raise unknown("feed_forward", name, get_args(FeedForwardName))
    return SwiGLU(width, ratio, key) if name == "swiglu" else GeluMLP(width, ratio, key)


def _inner_width(width: int, ratio: float, share: float) -> int:
    check_size("feed-forward width", width)
    check_positive("mlp_ratio", ratio)
    if width * ratio > MAX_INNER_WIDTH:
        raise UserError(
            f"mlp_ratio {ratio!r}: the inner width {width * ratio:g} is above {MAX_INNER_WIDTH}; use a "
            "smaller ratio"
        )
    inner = int(share * int(width * ratio)) if share < 1 else int(width * ratio)
    if inner < 1:
        raise UserError(f"mlp_ratio {ratio!r}: width {width} leaves no inner features; use a larger ratio")
    return inner
