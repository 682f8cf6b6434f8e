"""The layer of the Gemma family: norms before and after each half, weights around one, gated tanh-GELU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from i1_model.ops.sharding import lookup
from i1_model.text_encoders.blocks import gated, rms_norm, tanh_gelu

WIDTH_NORMS: Mapping[str, str] = {
    "before_attention": "pre_self_attn_layernorm",
    "after_attention": "post_self_attn_layernorm",
    "before_mlp": "pre_feedforward_layernorm",
    "after_mlp": "post_feedforward_layernorm",
}
"""Stored names of a layer's norms."""


def norm(x: Array, weight: Array, eps: float) -> Array:
    """Divides by the root mean square over the last axis and multiplies by 1 + weight (C,), in float32."""
    return rms_norm(x, 1 + weight.astype(jnp.float32), eps)


def embed(table: Array, ids: Array) -> Array:
    """Returns rows (B, T, W) of a table (V, W), times the square root of W as the table's dtype has it."""
    return lookup(table, ids) * jnp.asarray(table.shape[-1] ** 0.5, table.dtype)


def layer(x: Array, weights: Any, attention: Callable[[Array], Array], eps: float) -> Array:
    """Applies one layer.

    Args:
        x: (B, T, W).
        weights: the layer's parameters.
        attention: maps (B, T, W) to the same shape, the output projection included.
        eps: of the norms.
    """
    out = attention(norm(x, weights["before_attention"], eps))
    x = x + norm(out, weights["after_attention"], eps)
    out = gated(norm(x, weights["before_mlp"], eps), weights, tanh_gelu)
    return x + norm(out, weights["after_mlp"], eps)
