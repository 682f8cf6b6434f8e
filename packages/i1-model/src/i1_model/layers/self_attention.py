"""Multi-head self-attention."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from i1_model.layers.linear import Linear, affine
from i1_model.layers.norms import Norm, NormName, make_norm
from i1_model.layers.rope import RotaryTable, pairs_to_halves, rotate
from i1_model.ops.attention import AttentionName, attention


def split_heads(x: Float[Array, "B S W"], num_heads: int) -> Float[Array, "B S N D"]:
    """Turns (B, S, W) into (B, S, heads, W / heads)."""
    return x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads)


def merge_heads(x: Float[Array, "B S N D"]) -> Float[Array, "B S W"]:
    """Turns (B, S, heads, D) into (B, S, heads D)."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def project_heads(
    linear: Linear,
    x: Float[Array, "B S W"],
    num_heads: int,
    parts: slice = slice(None),
    *,
    rotary: bool,
) -> list[Float[Array, "B S N D"]]:
    """Applies a fused projection and splits its output into heads.

    Args:
        linear: its output is (query, key, value), each `width` wide, heads inside.
        x: (B, S, width).
        num_heads: number of heads.
        parts: the slice of the three that is computed.
        rotary: whether query and key are returned in half order (see `i1_model.layers.rope`).

    Returns:
        the parts, each (B, S, heads, head_dim).
    """
    width = x.shape[-1]
    first, stop, _ = parts.indices(3)
    turned = (min(stop, 2) - first) * width if rotary else 0

    def columns(array: Array) -> Array:
        array = array[..., first * width : stop * width]
        if turned <= 0:
            return array
        return jnp.concatenate(
            [_reorder(array[..., :turned], num_heads, width), array[..., turned:]], axis=-1
        )

    kernel = linear.kernel[...].astype(x.dtype)  # before it is reordered: half of the bytes move
    y = affine(x, columns(kernel), columns(linear.bias[...]))
    if linear.lora is not None:
        y = y + linear.lora(x, columns)
    return [split_heads(output, num_heads) for output in jnp.split(y, stop - first, axis=-1)]


def _reorder(columns: Array, num_heads: int, width: int) -> Array:
    heads = columns.reshape(*columns.shape[:-1], -1, width // num_heads)
    return pairs_to_halves(heads).reshape(columns.shape)


def normalise_heads(
    norm: Norm | None, x: Float[Array, "B S N D"], *, rotary: bool
) -> Float[Array, "B S N D"]:
    """Normalises queries or keys (B, S, heads, head_dim) over head_dim.

    Args:
        norm: None returns `x` itself.
        x: queries or keys.
        rotary: whether they are in half order.
    """
    if norm is None:
        return x
    return jax.tree.map(pairs_to_halves, norm)(x) if rotary else norm(x)


class SelfAttention(nnx.Module):
    """Self-attention with a fused projection, per-head query and key norms, and rotary positions.

    Args:
        width: features of a token.
        num_heads: number of heads.
        key: random key.
        norm: kind of the query and key norms.
        qk_norm: whether queries and keys are normalised.
    """

    def __init__(self, width: int, num_heads: int, key: Array, *, norm: NormName, qk_norm: bool) -> None:
        key_in, key_out = jax.random.split(key)
        self.num_heads = num_heads
        self.qkv = Linear(width, 3 * width, key_in)
        self.proj = Linear(width, width, key_out)
        self.q_norm = make_norm(norm, width // num_heads) if qk_norm else None
        self.k_norm = make_norm(norm, width // num_heads) if qk_norm else None

    def __call__(
        self,
        x: Float[Array, "B S W"],
        *,
        mask: Bool[Array, "B S"] | None = None,
        table: RotaryTable | None = None,
        num_queries: int | None = None,
        implementation: AttentionName = "auto",
    ) -> Float[Array, "B Q W"]:
        """Attends from the first `num_queries` tokens (all by default) to all tokens.

        Args:
            x: (B, S, width).
            mask: (B, S) bool, the keys that may be attended; None for all.
            table: rotary positions; None for none.
            num_queries: number of leading tokens whose output is computed.
            implementation: see `i1_model.ops.attention.attention`.

        Returns:
            (B, num_queries, width).
        """
        rotary = table is not None
        if num_queries is None:
            q, k, v = project_heads(self.qkv, x, self.num_heads, rotary=rotary)
        else:
            (q,) = project_heads(self.qkv, x[:, :num_queries], self.num_heads, slice(1), rotary=rotary)
            k, v = project_heads(self.qkv, x, self.num_heads, slice(1, 3), rotary=rotary)
        q = normalise_heads(self.q_norm, q, rotary=rotary)
        k = normalise_heads(self.k_norm, k, rotary=rotary)
        if table is not None:
            q = rotate(q, table.select(slice(num_queries)))
            k = rotate(k, table)
        return self.proj(merge_heads(attention(q, k, v, mask, implementation)))
