"""Attention of bfloat16 numbers on a CPU.

The same values as plain array operations. Heads are a leading axis of every product and no product's left
operand is to be transposed, forward or backward, so that XLA multiplies bfloat16 numbers as such (see
`i1_model.ops.matmul`). The backward pass is written out: it keeps the weights in bfloat16, and sums
`weights * d weights` as `output * d output`, which has head_dim instead of T terms a row (arXiv 2205.14135).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from i1_model.ops.matmul import WIDTH, multiplies_bfloat16

LOWEST = jnp.finfo(jnp.float32).min


def supports(q: Array, k: Array) -> bool:
    """Returns whether `attend` computes queries (B, S, heads, D) and keys (B, T, heads, D) of this kind."""
    batch, num_queries, heads, width = q.shape
    long = min(num_queries, k.shape[1], width) >= WIDTH
    return multiplies_bfloat16(q) and q.dtype == k.dtype and batch * heads > 1 and long


@jax.custom_vjp
def attend(q: Array, k: Array, v: Array, mask: Array) -> Array:
    """Returns attention; arguments as for `i1_model.ops.attention.attention`, with a mask."""
    return _forward(q, k, v, mask)[0]


def _forward(q: Array, k: Array, v: Array, mask: Array) -> tuple[Array, tuple[Array, ...]]:
    q = q * _scale(q)
    logits = _product("nqd,nkd->nqk", _tokens(q), _tokens(k))
    mask = jnp.repeat(mask, q.shape[2], axis=0)[:, None, :]
    logits = jnp.where(mask, logits, LOWEST)
    weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
    out = _product("ndk,nqk->ndq", _features(v), weights).astype(v.dtype)
    out = _back(out, v)
    return out, (q, k, v, mask, weights, out)


def _backward(kept: tuple[Array, ...], grad: Array) -> tuple[Array, Array, Array, None]:
    q, k, v, mask, weights, out = kept
    grad_v = _product("ndq,nqk->ndk", _features(grad), weights).astype(v.dtype)
    grad_weights = _product("nqd,nkd->nqk", _tokens(grad), _tokens(v))
    mean = jnp.sum(grad.astype(jnp.float32) * out.astype(jnp.float32), axis=-1)
    mean = jnp.swapaxes(mean, 1, 2).reshape(*weights.shape[:2], 1)
    grad_logits = weights.astype(jnp.float32) * (grad_weights - mean)
    grad_logits = jnp.where(mask, grad_logits, 0).astype(q.dtype)
    grad_q = _product("ndk,nqk->ndq", _features(k), grad_logits) * _scale(q)
    grad_k = _product("ndq,nqk->ndk", _features(q), grad_logits)
    grad_q, grad_k = _back(grad_q.astype(q.dtype), q), _back(grad_k.astype(k.dtype), k)
    return grad_q, grad_k, _back(grad_v, v), None


attend.defvjp(_forward, _backward)


def _scale(q: Array) -> float:
    return float(q.shape[-1] ** -0.5)


def _tokens(x: Array) -> Array:
    """Turns (B, S, heads, D) into (B heads, S, D)."""
    return jnp.swapaxes(x, 1, 2).reshape(-1, x.shape[1], x.shape[3])


def _features(x: Array) -> Array:
    """Turns (B, S, heads, D) into (B heads, D, S)."""
    return jnp.moveaxis(x, 1, 3).reshape(-1, x.shape[3], x.shape[1])


def _back(x: Array, like: Array) -> Array:
    """Undoes `_features`."""
    batch, _, heads, width = like.shape
    return jnp.moveaxis(x.reshape(batch, heads, width, -1), 3, 1)


def _product(axes: str, left: Array, right: Array) -> Array:
    return jnp.einsum(axes, left, right, preferred_element_type=jnp.float32)
