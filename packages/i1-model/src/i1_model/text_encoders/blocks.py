"""The operations that pretrained text encoders share; kernels are stored (out, in)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Num

LOWEST = jnp.finfo(jnp.float32).min


def dense(
    x: Float[Array, "B T I"], weight: Float[Array, "O I"], bias: Float[Array, " O"] | None = None
) -> Float[Array, "B T O"]:
    """Returns `x weight^T + bias`; x (B, T, I), weight (O, I), bias (O,)."""
    out = jnp.einsum("bti,oi->bto", x, weight)
    return out if bias is None else out + bias[None, None]


def split_heads(x: Float[Array, "B T I"], head_dim: int) -> Float[Array, "B T N D"]:
    """Returns (B, T, N * D) as (B, T, N, D)."""
    return x.reshape(*x.shape[:2], -1, head_dim)


def rms_norm(x: Float[Array, "*S C"], weight: Float[Array, " C"], eps: float) -> Float[Array, "*S C"]:
    """Divides by the root mean square over the last axis, then multiplies by a scale (C,), in float32."""
    x32 = x.astype(jnp.float32)
    normed = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, axis=-1, keepdims=True) + eps)
    return (normed * _last(weight.astype(jnp.float32), x.ndim)).astype(x.dtype)


def layer_norm(
    x: Float[Array, "*S C"], weight: Float[Array, " C"], bias: Float[Array, " C"], eps: float
) -> Float[Array, "*S C"]:
    """Normalises the last axis to mean 0 and variance 1, then scales and shifts, in float32."""
    x32 = x.astype(jnp.float32)
    centred = x32 - jnp.mean(x32, axis=-1, keepdims=True)
    normed = centred * jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + eps)
    scale, shift = (_last(value.astype(jnp.float32), x.ndim) for value in (weight, bias))
    return (normed * scale + shift).astype(x.dtype)


def _last(vector: Array, ndim: int) -> Array:
    return jnp.expand_dims(vector, tuple(range(ndim - 1)))


def tanh_gelu(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Returns the tanh approximation of `x Phi(x)` (arXiv 1606.08415)."""
    return jax.nn.gelu(x, approximate=True)


def gated(x: Array, layer: Any, activation: Callable[[Array], Array]) -> Array:
    """Returns `down(activation(gate(x)) * up(x))` with the kernels of `layer` (arXiv 2002.05202)."""
    return dense(activation(dense(x, layer["gate"])) * dense(x, layer["up"]), layer["down"])


def rotate(
    x: Float[Array, "B T N D"], positions: Num[Array, "B T"], theta: float | Array
) -> Float[Array, "B T N D"]:
    """Applies rotary positions, pairing element i with i + D / 2 (arXiv 2104.09864).

    Args:
        x: (B, T, N, D), D even.
        positions: (B, T) int32 or float32.
        theta: the base of the wavelengths.
    """
    half = x.shape[-1] // 2
    frequencies = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = positions.astype(jnp.float32)[..., None, None] * frequencies[None, None, None]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    rotated = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return rotated.astype(x.dtype)


def attend(
    q: Float[Array, "B Q N D"],
    k: Float[Array, "B S K D"],
    v: Float[Array, "B S K D"],
    allowed: Bool[Array, "B Q S"],
    *,
    scale: float,
    softcap: float | None = None,
    bias: Float[Array, "N Q S"] | None = None,
) -> Float[Array, "B Q W"]:
    """Returns attention with grouped key/value heads, the softmax in float32.

    A query without any allowed key attends to all keys uniformly.

    Args:
        q: (B, Q, N, D).
        k: (B, S, K, D), N a multiple of K.
        v: (B, S, K, D).
        allowed: (B, Q, S) bool.
        scale: multiplies the logits.
        softcap: the c of `c tanh(logits / c)`; None leaves the logits as they are.
        bias: (N, Q, S) float32, added to the logits.

    Returns:
        (B, Q, N * D).
    """
    batch, length, heads, head_dim = q.shape
    groups = heads // k.shape[2]
    q = q.reshape(batch, length, -1, groups, head_dim)
    logits = jnp.einsum("bqkgd,bskd->bkgqs", q, k, preferred_element_type=jnp.float32) * scale
    if softcap is not None:
        logits = jnp.tanh(logits / softcap) * softcap
    if bias is not None:
        logits = logits + bias.reshape(1, -1, groups, *bias.shape[1:])
    logits = jnp.where(allowed[:, None, None], logits, LOWEST)
    weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
    out = jnp.einsum("bkgqs,bskd->bqkgd", weights, v)
    return out.reshape(batch, length, heads * head_dim)


def causal(mask: Bool[Array, "B T"]) -> Bool[Array, "B T T"]:
    """Returns the keys that each query may attend to, (B, T, T) bool: the valid ones up to itself."""
    length = mask.shape[1]
    earlier = jnp.tril(jnp.ones((length, length), bool))
    return earlier[None] & mask[:, None, :]


def take_layer(layers: Any, index: Array) -> Any:
    """Returns one layer of stacked parameters."""
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), layers)


def scan_layers(step: Callable[[Array, Any], Array], layers: Any, x: Array) -> Array:
    """Applies `step(x, layer)` for every layer of stacked parameters, compiled once."""

    def body(carry: tuple[Array, Any], index: Array) -> tuple[tuple[Array, Any], None]:
        x, layers = carry[0], jax.lax.optimization_barrier(carry[1])
        return (step(x, take_layer(layers, index)), layers), None

    depth = jax.tree.leaves(layers)[0].shape[0]
    # The barrier keeps XLA on CPU from converting the bfloat16 weights of all layers to float32 at once.
    return jax.lax.scan(body, (x, layers), jnp.arange(depth))[0][0]
