"""Fused attention kernels of accelerators; chosen by `i1_model.ops.attention.attention`."""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
from jax import Array

from i1_model.ops.chips import CHIPS

SMALL_BLOCK = 512
"""Longest block of queries or keys of the splash kernel on chips that are not in `CHIPS`."""
_LANES = 128


def longest_block(chip: str) -> int:
    """Returns the longest block of queries or keys of the splash kernel on a generation of TPUs."""
    return CHIPS[chip].attention_block if chip in CHIPS else SMALL_BLOCK


def cudnn_problem(q: Array) -> str | None:
    """Returns why cuDNN cannot run queries of this dtype and head width, or None."""
    head_dim = q.shape[-1]
    if q.dtype not in (jnp.bfloat16, jnp.float16):
        return f"needs bfloat16 or float16 and got {q.dtype}: set compute_dtype='bfloat16'"
    if head_dim % 8 or head_dim > 128:
        return f"needs a head width that is a multiple of 8 up to 128 and got {head_dim}"
    return None


def cudnn_attention(q: Array, k: Array, v: Array, mask: Array | None) -> Array:
    """Runs cuDNN's fused attention; arguments as for `attention`."""
    q, mask = make_empty_rows_uniform(q, mask)
    full = None if mask is None else mask[:, None, None, :]
    return jax.nn.dot_product_attention(q, k, v, mask=full, implementation="cudnn")


def splash_attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    *,
    longest_block: int = SMALL_BLOCK,
    interpret: bool = False,
) -> Array:
    """Runs JAX's splash kernel; arguments as for `attention`.

    Every row of the mask has a valid key.

    Lengths are padded to equal blocks of a multiple of 128; keys that are padding or masked get another
    segment than the queries.

    Args:
        q: (B, S, heads, D).
        k: (B, T, heads, D).
        v: (B, T, heads, D).
        mask: (B, T) bool or None.
        longest_block: longest block of queries or keys, a multiple of 128.
        interpret: whether the operations of the kernel run one by one on any platform, for tests.
    """
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernel
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    num_queries, num_keys, num_heads = q.shape[1], k.shape[1], q.shape[2]
    if mask is None:
        mask = jnp.ones((q.shape[0], num_keys), bool)
    block_q, block_kv = (equal_block(length, longest_block) for length in (num_queries, num_keys))
    q = _pad_tokens(q * q.shape[-1] ** -0.5, block_q)
    k, v = _pad_tokens(k, block_kv), _pad_tokens(v, block_kv)
    key_segments = _pad_tokens(mask, block_kv).astype(jnp.int32)
    query_segments = jnp.ones(q.shape[:2], jnp.int32)

    shape = (q.shape[1], k.shape[1])
    minor = kernel.QKVLayout.SEQ_MINOR  # a head of 72 features would fill 72 of 128 lanes
    run = kernel.make_splash_mha(
        masks.MultiHeadMask([masks.FullMask(shape)] * num_heads),
        block_sizes=kernel.BlockSizes(
            block_q=block_q,
            block_kv=block_kv,
            block_kv_compute=block_kv,
            block_q_dkv=block_q,
            block_kv_dkv=block_kv,
            block_kv_dkv_compute=block_kv,
            use_fused_bwd_kernel=True,
            q_layout=minor,
            k_layout=minor,
            v_layout=minor,
        ),
        residual_checkpoint_name="attention",
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )
    heads_first = (jnp.swapaxes(x, 1, 2) for x in (q, k, v))
    segments = kernel.SegmentIds(q=query_segments, kv=key_segments)
    out = cast("Array", jax.vmap(run)(*heads_first, segment_ids=segments))
    return jnp.swapaxes(out, 1, 2)[:, :num_queries].astype(v.dtype)


def equal_block(length: int, longest: int) -> int:
    """Returns the size of the fewest equal blocks of a multiple of 128 that hold a length.

    Args:
        length: number of tokens.
        longest: the largest block, a multiple of 128.
    """
    num_blocks = -(-length // longest)
    return -(-length // (num_blocks * _LANES)) * _LANES


def _pad_tokens(x: Array, multiple: int) -> Array:
    """Pads axis 1 with zeros to a multiple."""
    return jnp.pad(x, ((0, 0), (0, -x.shape[1] % multiple), *((0, 0),) * (x.ndim - 2)))


def make_empty_rows_uniform(q: Array, mask: Array | None) -> tuple[Array, Array | None]:
    """Returns queries and a mask with which a row without a valid key attends to all keys uniformly.

    Its queries become zero and all its keys valid, so that every kernel computes it.
    """
    if mask is None:
        return q, None
    any_valid = jnp.any(mask, axis=1)
    return jnp.where(any_valid[:, None, None, None], q, 0), mask | ~any_valid[:, None]
