"""The adapter of i1: transformer blocks over the text."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from i1_hooks import UserError
from jax import Array
from jaxtyping import Bool, Float

from i1_model.adapters.base import Adapter, AdapterConfig
from i1_model.layers.connector import Connector
from i1_model.layers.feed_forward import FeedForwardName
from i1_model.layers.limits import MAX_DEPTH, check_positive, check_size
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.norms import NormName
from i1_model.ops.attention import AttentionName


@dataclass(frozen=True, kw_only=True)
class TransformerAdapter(AdapterConfig):
    """A dense layer, then transformer blocks in which padding is attended like any other token.

    Attributes:
        num_blocks: number of blocks; i1 has 2.
        num_heads: attention heads of a block, a divisor of the backbone's width; i1-3B has 28.
        mlp_ratio: inner width of the feed-forward network over the backbone's width, before SwiGLU's 2/3.
        feed_forward: the kind of feed-forward network.
        norm: the kind of all norms.
        qk_norm: whether queries and keys are normalised per head.
        attention: the implementation, see `i1_model.ops.attention`.
    """

    num_blocks: int = 2
    num_heads: int = 8
    mlp_ratio: float = 4.0
    feed_forward: FeedForwardName = "swiglu"
    norm: NormName = "rms"
    qk_norm: bool = True
    attention: AttentionName = "auto"

    def __post_init__(self) -> None:
        if not 1 <= self.num_blocks <= MAX_DEPTH:
            raise UserError(
                f"adapter num_blocks {self.num_blocks}: use 1 to {MAX_DEPTH}, or the adapter 'mlp' for none"
            )
        check_size("adapter num_heads", self.num_heads)
        check_positive("adapter mlp_ratio", self.mlp_ratio)

    def build(self, text_width: int, hidden_width: int, key: Array) -> TransformerAdapterModule:
        """Returns the adapter.

        Raises:
            UserError: when the heads do not divide the width.
        """
        if hidden_width % self.num_heads:
            raise UserError(
                f"adapter num_heads {self.num_heads} does not divide the hidden_width {hidden_width}"
            )
        return TransformerAdapterModule(self, text_width, hidden_width, key)


class TransformerAdapterModule(Adapter):
    """The network of `TransformerAdapter`: `connector_in`, then the blocks."""

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

    def __call__(self, tokens: Float[Array, "B T W"], mask: Bool[Array, "B T"]) -> Float[Array, "B T D"]:
        """Maps (B, T, text_width) to (B, T, hidden_width).

        The mask is not read, as in the released weights.
        """
        del mask
        return self.connector(self.connector_in(tokens), self.attention)
