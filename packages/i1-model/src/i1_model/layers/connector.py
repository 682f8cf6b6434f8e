"""Pre-norm transformer blocks without mask, positions or modulation."""

from __future__ import annotations

import jax
from flax import nnx
from jax import Array
from jaxtyping import Float

from i1_model.layers.feed_forward import FeedForwardName, make_feed_forward
from i1_model.layers.norms import NormName, make_norm
from i1_model.layers.self_attention import SelfAttention
from i1_model.layers.stack import unstack
from i1_model.ops.attention import AttentionName


class ConnectorBlock(nnx.Module):
    """`x + attn(norm1(x))`, then `x + mlp(norm2(x))`.

    Every token attends to every token, padding included.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        key: Array,
        *,
        mlp_ratio: float,
        feed_forward: FeedForwardName,
        norm: NormName,
        qk_norm: bool,
    ) -> None:
        key_attn, key_mlp = jax.random.split(key)
        self.norm1 = make_norm(norm, width)
        self.attn = SelfAttention(width, num_heads, key_attn, norm=norm, qk_norm=qk_norm)
        self.norm2 = make_norm(norm, width)
        self.mlp = make_feed_forward(feed_forward, width, mlp_ratio, key_mlp)

    def __call__(self, x: Float[Array, "B S W"], implementation: AttentionName) -> Float[Array, "B S W"]:
        """Maps (B, S, width) to (B, S, width)."""
        x = x + self.attn(self.norm1(x), implementation=implementation)
        return x + self.mlp(self.norm2(x))


class Connector(nnx.Module):
    """A few connector blocks in a row, with stacked parameters."""

    def __init__(
        self,
        num_blocks: int,
        width: int,
        num_heads: int,
        key: Array,
        *,
        mlp_ratio: float,
        feed_forward: FeedForwardName,
        norm: NormName,
        qk_norm: bool,
    ) -> None:
        def make(block_key: Array) -> ConnectorBlock:
            return ConnectorBlock(
                width,
                num_heads,
                block_key,
                mlp_ratio=mlp_ratio,
                feed_forward=feed_forward,
                norm=norm,
                qk_norm=qk_norm,
            )

        self.stacked = jax.vmap(make)(jax.random.split(key, num_blocks))

    def __call__(
        self, x: Float[Array, "B S W"], implementation: AttentionName = "auto"
    ) -> Float[Array, "B S W"]:
        """Maps (B, S, width) to (B, S, width)."""
        for block in unstack(self.stacked):
            x = block(x, implementation)
        return x
