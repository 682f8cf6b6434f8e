"""The adapter of i1: transformer blocks over the text."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from i1_hooks import UserError
from jax import Array

from i1_model.adapters.base import Adapter, AdapterConfig
from i1_model.layers.connector import Connector
from i1_model.layers.feed_forward import FeedForwardName
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.norms import NormName
from i1_model.ops.attention import AttentionName


@dataclass(frozen=True, kw_only=True)
class TransformerAdapter(AdapterConfig):
    """Dense, then blocks of self-attention and feed-forward in which padding is attended like any token.

    Attributes:
        num_blocks: number of blocks; i1 has 2.
        num_heads: of each block; i1-3B has 28. Divides the backbone's width.
        mlp_ratio: inner width of the feed-forward part, before the 2/3 of SwiGLU.
        feed_forward: its kind.
        norm: kind of all norms.
        qk_norm: whether queries and keys are normalised per head.
        attention: implementation.
    """

    num_blocks: int = 2
    num_heads: int = 8
    mlp_ratio: float = 4.0
    feed_forward: FeedForwardName = "swiglu"
    norm: NormName = "rms"
    qk_norm: bool = True
    attention: AttentionName = "auto"

    def build(self, text_width: int, hidden_width: int, key: Array) -> TransformerAdapterModule:
        """Returns the adapter.

        Raises:
            UserError: when the heads do not divide the width, or without blocks.
        """
        if self.num_blocks < 1:
            raise UserError(f"adapter num_blocks {self.num_blocks}: use 1 or more, or the adapter 'mlp'")
        if hidden_width % self.num_heads:
            raise UserError(
                f"adapter num_heads {self.num_heads} does not divide the hidden_width {hidden_width}"
            )
        return TransformerAdapterModule(self, text_width, hidden_width, key)


class TransformerAdapterModule(Adapter):
    """`connector_in`, then the blocks."""

    def __init__(self, config: TransformerAdapter, text_width: int, hidden_width: int, key: Array) -> None:
        key_in, key_blocks = jax.random.split(key)
        self.attention: AttentionName = config.attention
        self.connector_in = Linear(text_width, hidden_width, key_in, init=XAVIER_UNIFORM)
        self.connector = Connector(
            config.num_blocks,
            hidden_width,
            config.num_heads,
            key_blocks,
            mlp_ratio=config.mlp_ratio,
            feed_forward=config.feed_forward,
            norm=config.norm,
            qk_norm=config.qk_norm,
        )

    def __call__(self, tokens: Array, mask: Array) -> Array:
        """Maps (B, T, text_width) to (B, T, hidden_width).

        The mask is not read, as in the released weights.
        """
        del mask
        return self.connector(self.connector_in(tokens), self.attention)
