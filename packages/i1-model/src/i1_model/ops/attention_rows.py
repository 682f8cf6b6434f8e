"""Attention as a Pallas kernel for TPUs that holds whole rows of logits: all keys of a block of queries.

The keys of one head, a few thousand of 72 features, fit into a chip's vector memory. The softmax then needs
no running maximum, and the backward pass computes logits once for the gradients of queries, keys and values.

All arrays have the tokens last. So XLA hands over what a projection has computed, and reads what it projects
next, without a copy; features that fill 72 of 128 lanes would have to be moved before and after.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array

from i1_model.ops.remat import checkpoint_named

LANES = 128
LOGITS_BYTES = 5 * 2**20
"""Size of the logits of one block of queries; the backward pass holds a few arrays of this size."""
MOST_KEYS = 8192
"""Largest number of keys whose keys, values and gradients of a head fit into memory besides the logits."""
_VMEM_BYTES = 64 * 2**20
_MANY_HEADS = 4
_BLOCK_COST = 64
"""The cost of a block besides its queries, in queries."""
_MASKED = -1e30
Residuals = tuple[Array, Array, Array, Array, Array, Array]
"""Queries, keys, values, bias, output and logarithm of the sum of weights."""


def rows_attention(q: Array, k: Array, v: Array, mask: Array | None, *, interpret: bool = False) -> Array:
    """Returns attention; arguments and result as for `i1_model.ops.attention.attention`.

    Every row of the mask has a valid key.

    Args:
        q: (B, S, heads, D).
        k: (B, T, heads, D), T at most `MOST_KEYS`.
        v: (B, T, heads, D).
        mask: (B, T) bool or None.
        interpret: whether the operations of the kernel run one by one on any platform, for tests.
    """
    num_queries, num_keys = q.shape[1], k.shape[1]
    if mask is None:
        mask = jnp.ones((q.shape[0], num_keys), bool)
    padded_keys = -(-num_keys // LANES) * LANES
    block = query_block(num_queries, padded_keys)
    mask = jnp.pad(mask, ((0, 0), (0, padded_keys - num_keys)))
    bias = jnp.where(mask, jnp.float32(0), jnp.float32(_MASKED))
    bias = jnp.broadcast_to(bias[:, :, None], (*bias.shape, LANES))
    q = _tokens_last(q * q.shape[-1] ** -0.5, -num_queries % block)
    k, v = (_tokens_last(x, padded_keys - num_keys) for x in (k, v))
    out = cast("Array", _attend(block, interpret, q, k, v, bias))
    return jnp.transpose(out[..., :num_queries], (0, 3, 1, 2))


def query_block(num_queries: int, num_keys: int) -> int:
    """Returns the number of queries of a block, whose logits fit: little padding and few blocks."""
    sizes = [size for size in (512, 384, 256, 128) if 4 * size * num_keys <= LOGITS_BYTES]
    return min(sizes, key=lambda size: -(-num_queries // size) * (size + _BLOCK_COST))


def _tokens_last(x: Array, padding: int) -> Array:
    """Turns (B, S, heads, D) into (B, heads, D, S + padding)."""
    return jnp.pad(jnp.transpose(x, (0, 2, 3, 1)), ((0, 0), (0, 0), (0, 0), (0, padding)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _attend(block: int, interpret: bool, q: Array, k: Array, v: Array, bias: Array) -> Array:
    return _forward(block, interpret, q, k, v, bias)[0]


def _attend_forward(
    block: int, interpret: bool, q: Array, k: Array, v: Array, bias: Array
) -> tuple[Array, Residuals]:
    out, logsumexp = _forward(block, interpret, q, k, v, bias)
    out, logsumexp = checkpoint_named(out, "attention"), checkpoint_named(logsumexp, "attention")
    return out, (q, k, v, bias, out, logsumexp)


def _attend_backward(
    block: int, interpret: bool, residuals: Residuals, grad: Array
) -> tuple[Array, Array, Array, None]:
    dq, dk, dv = _backward(block, interpret, *residuals, grad)
    return dq, dk, dv, None


_attend.defvjp(_attend_forward, _attend_backward)


def _forward(block: int, interpret: bool, q: Array, k: Array, v: Array, bias: Array) -> tuple[Array, Array]:
    """Returns the output (B, heads, D, S) and the logarithm of the sum of weights (B, heads, 1, S)."""
    run, specs = _call(block, interpret, q, k)
    shapes = [
        jax.ShapeDtypeStruct(q.shape, v.dtype),
        jax.ShapeDtypeStruct((*q.shape[:2], 1, q.shape[3]), jnp.float32),
    ]
    return run(
        _forward_kernel,
        name="rows_attention_forward",
        in_specs=[specs["queries"], specs["keys"], specs["keys"], specs["bias"]],
        out_specs=[specs["queries"], specs["row"]],
        out_shape=shapes,
    )(q, k, v, bias)


def _backward(
    block: int,
    interpret: bool,
    q: Array,
    k: Array,
    v: Array,
    bias: Array,
    out: Array,
    logsumexp: Array,
    grad: Array,
) -> tuple[Array, Array, Array]:
    from jax.experimental.pallas import tpu as pltpu

    run, specs = _call(block, interpret, q, k)
    num_heads = specs["keys"].block_shape[1]
    sums = pltpu.VMEM((num_heads, *k.shape[2:]), jnp.float32)
    queries, keys = specs["queries"], specs["keys"]
    return run(
        _backward_kernel,
        name="rows_attention_backward",
        in_specs=[queries, keys, keys, specs["bias"], queries, specs["row"], queries],
        out_specs=[queries, keys, keys],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (q, k, v)],
        scratch_shapes=[sums, sums],
    )(q, k, v, bias, out, logsumexp, grad)


def _call(block: int, interpret: bool, q: Array, k: Array) -> tuple[Any, dict[str, Any]]:
    """Returns `pallas_call` over rows of the batch, heads and blocks of queries, and the parts of arrays."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu

    batch, num_heads, head_dim, num_queries = q.shape
    num_keys = k.shape[3]
    num_blocks = num_queries // block
    most = _MANY_HEADS if num_blocks == 1 else 1
    heads = max(size for size in range(1, most + 1) if num_heads % size == 0)
    of_queries, of_keys = (lambda b, h, i: (b, h, 0, i)), (lambda b, h, _: (b, h, 0, 0))
    specs = {
        "queries": pl.BlockSpec((None, heads, head_dim, block), of_queries),
        "row": pl.BlockSpec((None, heads, 1, block), of_queries),
        "keys": pl.BlockSpec((None, heads, head_dim, num_keys), of_keys),
        "bias": pl.BlockSpec((None, num_keys, LANES), lambda b, *_: (b, 0, 0)),
    }
    run = functools.partial(
        pl.pallas_call,
        grid=(batch, num_heads // heads, num_blocks),
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary"), vmem_limit_bytes=_VMEM_BYTES
        ),
        interpret=interpret,
    )
    return run, specs


def _forward_kernel(q_ref: Any, k_ref: Any, v_ref: Any, bias_ref: Any, out_ref: Any, row_ref: Any) -> None:
    bias = bias_ref[:, :1]
    for head in range(q_ref.shape[0]):
        logits = _product(k_ref[head], q_ref[head], 0, 0) + bias
        largest = jnp.max(logits, axis=0, keepdims=True)
        weights = jnp.exp(logits - largest)
        total = jnp.sum(weights, axis=0, keepdims=True)
        out = _product(v_ref[head], weights.astype(v_ref.dtype), 1, 0) / total
        out_ref[head] = out.astype(out_ref.dtype)
        row_ref[head] = largest + jnp.log(total)


def _backward_kernel(
    q_ref: Any,
    k_ref: Any,
    v_ref: Any,
    bias_ref: Any,
    out_ref: Any,
    row_ref: Any,
    grad_ref: Any,
    dq_ref: Any,
    dk_ref: Any,
    dv_ref: Any,
    dk_sum: Any,
    dv_sum: Any,
) -> None:
    from jax.experimental import pallas as pl

    index, last = pl.program_id(2), pl.num_programs(2) - 1

    @pl.when(index == 0)
    def _() -> None:
        dk_sum[...] = jnp.zeros_like(dk_sum)
        dv_sum[...] = jnp.zeros_like(dv_sum)

    bias = bias_ref[:, :1]
    for head in range(q_ref.shape[0]):
        q, k, v, grad = q_ref[head], k_ref[head], v_ref[head], grad_ref[head]
        weights = jnp.exp(_product(k, q, 0, 0) + bias - row_ref[head])
        dv_sum[head] += _product(grad, weights.astype(grad.dtype), 1, 1)
        products = out_ref[head].astype(jnp.float32) * grad.astype(jnp.float32)
        mean = jnp.sum(products, axis=0, keepdims=True)
        dlogits = (weights * (_product(v, grad, 0, 0) - mean)).astype(q.dtype)
        dq_ref[head] = _product(k, dlogits, 1, 0).astype(dq_ref.dtype)
        dk_sum[head] += _product(q, dlogits, 1, 1)

    @pl.when(index == last)
    def _() -> None:
        dk_ref[...] = dk_sum[...].astype(dk_ref.dtype)
        dv_ref[...] = dv_sum[...].astype(dv_ref.dtype)


def _product(left: Array, right: Array, left_dim: int, right_dim: int) -> Array:
    """Returns the float32 product of two matrices over one dimension of each."""
    numbers = (((left_dim,), (right_dim,)), ((), ()))
    return cast("Array", jax.lax.dot_general(left, right, numbers, preferred_element_type=jnp.float32))
