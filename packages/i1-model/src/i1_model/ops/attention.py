"""Attention: one function, several implementations."""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from i1_hooks import UserError, unknown
from jax import Array
from jaxtyping import Bool, Float

from i1_model.ops import attention_bfloat16
from i1_model.ops.chips import CHIPS
from i1_model.ops.remat import checkpoint_named
from i1_model.ops.sharding import DimName, active_mesh, axis_size, per_shard
from i1_model.ops.target import active_chip, active_platform

AttentionName = Literal["auto", "xla", "plain", "cudnn", "splash", "rows"]
PLAIN_BYTES = 64 * 2**20
"""Logits up to this size are computed as a whole."""
BLOCK_BYTES = 8 * 2**20
"""Larger logits are computed in blocks of queries of about this size."""
KERNEL_LENGTH = 512
"""Smallest number of keys for which `"auto"` takes a Pallas kernel on TPU."""
KERNEL_HEAD = 256
"""Largest head width for which `"auto"` takes a Pallas kernel on TPU."""


def attention(
    q: Float[Array, "B S N D"],
    k: Float[Array, "B T N D"],
    v: Float[Array, "B T N D"],
    mask: Bool[Array, "B T"] | None = None,
    implementation: AttentionName = "auto",
) -> Float[Array, "B S N D"]:
    """Returns `softmax(q k^T / sqrt(D)) v` per head, the softmax in float32.

    Masked keys are excluded; a row whose keys are all masked attends to all of them uniformly.

    Args:
        q: (B, S, heads, D).
        k: (B, T, heads, D).
        v: (B, T, heads, D).
        mask: (B, T) bool, true for the keys that may be attended; None for all.
        implementation: `"xla"` runs everywhere and never holds more than a block of logits of a long
            sequence; `"plain"` holds all logits; `"cudnn"` is the fused kernel of NVIDIA GPUs; `"rows"` and
            `"splash"` are Pallas kernels of TPUs, ours for up to `MOST_KEYS` keys and JAX's for any number;
            `"auto"` picks by platform, dtype and length.

    Returns:
        (B, S, heads, D) in the dtype of `v`.

    Raises:
        UserError: for an unknown implementation, or one that this platform or dtype cannot run.
    """
    q, k, v = (checkpoint_named(x, "heads") for x in (q, k, v))
    run = _attention if active_mesh() is None else _sharded_attention
    return checkpoint_named(run(q, k, v, mask, implementation), "attention")


def _sharded_attention(
    q: Array, k: Array, v: Array, mask: Array | None, implementation: AttentionName
) -> Array:
    """Runs the attention of each device: its queries and heads against all keys."""
    batch: DimName = "batch" if q.shape[0] % axis_size("batch") == 0 else None
    rows: DimName = "context" if q.shape[1] % axis_size("context") == 0 else None
    heads: DimName = "tensor" if q.shape[2] % axis_size("tensor") == 0 else None
    queries, keys = (batch, rows, heads, None), (batch, None, heads, None)
    masks = () if mask is None else (mask,)

    def run(q: Array, k: Array, v: Array, *masks: Array) -> Array:
        return _attention(q, k, v, masks[0] if masks else None, implementation)

    in_dims = (queries, keys, keys, *(((batch, None),) if masks else ()))
    return per_shard(run, in_dims, queries)(q, k, v, *masks)


def _attention(q: Array, k: Array, v: Array, mask: Array | None, implementation: AttentionName) -> Array:
    platform = active_platform()
    if implementation == "auto":
        implementation = _choose(platform, q, k)
    if implementation == "xla":
        return xla_attention(q, k, v, mask)
    if implementation == "plain":
        return _attend(q, k, v, mask)
    if implementation == "cudnn":
        from i1_model.ops.attention_kernels import cudnn_attention, cudnn_problem

        problem = (
            cudnn_problem(q) if platform == "gpu" else f"needs an NVIDIA GPU and this runs on {platform}"
        )
        if problem:
            raise UserError(f"attention 'cudnn' {problem}; use 'auto' or 'xla'")
        return cudnn_attention(q, k, v, mask)
    if implementation in ("splash", "rows"):
        if platform != "tpu":
            raise UserError(
                f"attention {implementation!r} needs a TPU and this runs on {platform}; use 'auto' or 'xla'"
            )
        return _tpu_attention(q, k, v, mask, implementation)
    raise unknown("attention implementation", implementation, get_args(AttentionName))


def _choose(platform: str, q: Array, k: Array) -> AttentionName:
    if platform == "gpu":
        from i1_model.ops.attention_kernels import cudnn_problem

        return "xla" if cudnn_problem(q) else "cudnn"
    if platform == "tpu" and k.shape[1] >= KERNEL_LENGTH and q.shape[-1] <= KERNEL_HEAD:
        from i1_model.ops.attention_rows import MOST_KEYS

        return "rows" if active_chip() in CHIPS and k.shape[1] <= MOST_KEYS else "splash"
    return "xla"


def _tpu_attention(
    q: Array, k: Array, v: Array, mask: Array | None, implementation: Literal["splash", "rows"]
) -> Array:
    from i1_model.ops.attention_kernels import longest_block, make_empty_rows_uniform, splash_attention
    from i1_model.ops.attention_rows import MOST_KEYS, rows_attention

    q, mask = make_empty_rows_uniform(q, mask)
    if implementation == "splash":
        return splash_attention(q, k, v, mask, longest_block=longest_block(active_chip()))
    if k.shape[1] > MOST_KEYS:
        raise UserError(
            f"attention 'rows' takes up to {MOST_KEYS} keys and got {k.shape[1]}; use 'splash' or 'auto'"
        )
    return rows_attention(q, k, v, mask)


def xla_attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    *,
    plain_bytes: int = PLAIN_BYTES,
    block_bytes: int = BLOCK_BYTES,
) -> Array:
    """Returns attention from plain array operations, over blocks of queries when the logits exceed
    `plain_bytes`.

    A block is recomputed in the backward pass, so that training too holds one block of logits at a time.
    Arguments and result as for `attention`.
    """
    batch, num_queries, num_heads, _ = q.shape
    row_bytes = 4 * batch * num_heads * k.shape[1]
    if num_queries * row_bytes <= plain_bytes:
        return _attend(q, k, v, mask)
    size = max(1, block_bytes // row_bytes)
    num_blocks = -(-num_queries // size)
    size = -(-num_queries // num_blocks)
    padding = num_blocks * size - num_queries
    blocks = jnp.pad(q, ((0, 0), (0, padding), (0, 0), (0, 0)))
    blocks = jnp.moveaxis(blocks.reshape(batch, num_blocks, size, *q.shape[2:]), 1, 0)
    attend = jax.checkpoint(lambda block: _attend(block, k, v, mask), prevent_cse=False)
    out = jnp.moveaxis(jax.lax.map(attend, blocks), 0, 1)
    return out.reshape(batch, num_blocks * size, *q.shape[2:])[:, :num_queries]


def _attend(q: Array, k: Array, v: Array, mask: Array | None) -> Array:
    if attention_bfloat16.supports(q, k):
        mask = jnp.ones(k.shape[:2], bool) if mask is None else mask
        return attention_bfloat16.attend(q, k, v, mask)
    scale = q.shape[-1] ** -0.5
    logits = jnp.einsum("bqhd,bkhd->bhqk", q * scale, k, preferred_element_type=jnp.float32)
    if mask is not None:
        logits = jnp.where(mask[:, None, None, :], logits, attention_bfloat16.LOWEST)
    weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)
