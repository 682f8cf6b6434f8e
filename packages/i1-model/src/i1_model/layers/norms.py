"""Normalisation over the last axis, with statistics in float32."""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import unknown
from jax import Array
from jaxtyping import Float

from i1_model.layers.limits import check_size
from i1_model.ops.matmul import last_axis

NormName = Literal["rms", "layer"]
EPSILON = 1e-6


class RMSNorm(nnx.Module):
    """`x / sqrt(mean(x^2) + eps) * scale`, computed in float32; the output has the dtype of the input."""

    def __init__(self, width: int) -> None:
        check_size("norm width", width)
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))

    def __call__(self, x: Float[Array, "*S W"]) -> Float[Array, "*S W"]:
        """Normalises (..., width)."""
        x32 = x.astype(jnp.float32)
        rstd = jax.lax.rsqrt(jnp.mean(jnp.square(x32), axis=-1, keepdims=True) + EPSILON)
        return (x32 * rstd * last_axis(self.scale[...].astype(jnp.float32), x.ndim)).astype(x.dtype)


class LayerNorm(nnx.Module):
    """`(x - mean) / sqrt(var + eps) * scale + bias`, in float32; the output has the dtype of the input."""

    def __init__(self, width: int) -> None:
        check_size("norm width", width)
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((width,), jnp.float32))

    def __call__(self, x: Float[Array, "*S W"]) -> Float[Array, "*S W"]:
        """Normalises (..., width)."""
        x32 = x.astype(jnp.float32)
        centred = x32 - jnp.mean(x32, axis=-1, keepdims=True)
        rstd = jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + EPSILON)
        y = centred * rstd * last_axis(self.scale[...].astype(jnp.float32), x.ndim) + last_axis(
            self.bias[...].astype(jnp.float32), x.ndim
        )
        return y.astype(x.dtype)


Norm = RMSNorm | LayerNorm


def make_norm(name: NormName, width: int) -> Norm:
    """Returns the norm of that name over `width` features.

    Raises:
        UserError: for an unknown name, or a width that is no size.
    """
    if name not in get_args(NormName):
        raise unknown("norm", name, get_args(NormName))
    return RMSNorm(width) if name == "rms" else LayerNorm(width)
