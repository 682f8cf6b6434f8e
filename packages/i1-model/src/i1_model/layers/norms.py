"""Normalisation over the last axis, with statistics in float32."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from i1_model.ops.matmul import last_axis

NormName = Literal["rms", "layer"]
EPSILON = 1e-6


class RMSNorm(nnx.Module):
    """`x / sqrt(mean(x^2) + eps) * scale`; any dtype in, the same dtype out, float32 inside."""

    def __init__(self, width: int) -> None:
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))

    def __call__(self, x: Array) -> Array:
        """Normalises (..., width)."""
        x32 = x.astype(jnp.float32)
        rstd = jax.lax.rsqrt(jnp.mean(jnp.square(x32), axis=-1, keepdims=True) + EPSILON)
        return (x32 * rstd * last_axis(self.scale[...].astype(jnp.float32), x.ndim)).astype(x.dtype)


class LayerNorm(nnx.Module):
    """`(x - mean) / sqrt(var + eps) * scale + bias`; any dtype in, the same dtype out, float32 inside."""

    def __init__(self, width: int) -> None:
        self.scale = nnx.Param(jnp.ones((width,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((width,), jnp.float32))

    def __call__(self, x: Array) -> Array:
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
    """Returns the norm of that name over `width` features."""
    return RMSNorm(width) if name == "rms" else LayerNorm(width)
