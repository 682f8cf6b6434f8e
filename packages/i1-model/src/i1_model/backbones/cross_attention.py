"""A backbone of image tokens that read the text by cross-attention."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from jax import Array

from i1_model.backbones.base import Backbone, Conditioning, LatentSpec
from i1_model.backbones.patch_transformer import PatchTransformer, PatchTransformerConfig, block_modulation
from i1_model.layers.feed_forward import make_feed_forward
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.modulation import branch_affines
from i1_model.layers.norms import make_norm
from i1_model.layers.rope import RotaryTable, grid_table
from i1_model.layers.self_attention import SelfAttention, merge_heads, split_heads
from i1_model.layers.stack import BlockStack
from i1_model.ops.attention import AttentionName, attention

KeysValues = tuple[Array, Array]


@dataclass(frozen=True, kw_only=True)
class CrossAttention(PatchTransformerConfig):
    """Blocks of self-attention over the image, cross-attention to the text, and feed-forward."""

    def check(self, spec: LatentSpec) -> None:
        """Raises UserError for sizes that do not fit together."""
        super().check(spec)
        if self.positions != "sinusoidal_only" and self.head_dim % 4:
            raise UserError(
                f"rotary positions over rows and columns need a head width that is a multiple of 4, "
                f"got {self.head_dim}: change num_heads or hidden_width"
            )

    def build(self, spec: LatentSpec, key: Array) -> Backbone:
        """Returns the backbone."""
        return CrossAttentionModule(self, spec, key)


class CrossAttentionModule(PatchTransformer):
    """The backbone; see `i1_model.backbones.base.Backbone`."""

    config: CrossAttention

    def __init__(self, config: CrossAttention, spec: LatentSpec, key: Array) -> None:
        key_shared, key_blocks = jax.random.split(key)
        super().__init__(config, spec, key_shared)
        self.blocks = BlockStack(
            lambda k, takes_skip: CrossAttentionBlock(config, k, takes_skip=takes_skip),
            config.depth,
            key_blocks,
            long_skip=config.long_skip,
        )

    def condition(self, tokens: Array, mask: Array) -> Conditioning:
        """Returns the text with every block's keys and values of it."""
        conditioning = super().condition(tokens, mask)
        text = conditioning.tokens
        return conditioning.adding(
            keys_values=self.blocks.map(lambda block: block.cross_attn.keys_values(text))
        )

    def __call__(self, latents: Array, time: Array, conditioning: Conditioning) -> Array:
        """Predicts the flow target; see `Backbone`."""
        config = self.config
        vector = self.modulation_vector(time, conditioning)
        table = None
        if config.positions != "sinusoidal_only":
            table = grid_table(self.grid, config.head_dim, theta=config.rope_theta, scale=self.scale)

        def step(
            block: CrossAttentionBlock, x: Array, skip: Array | None, extra: KeysValues, last: bool
        ) -> Array:
            del last
            return block(x, skip, extra, text_mask=conditioning.mask, table=table, vector=vector)

        x = self.blocks(
            step,
            self.embed_image(latents),
            layers=config.layers,
            remat=config.remat,
            keep=config.remat_saved,
            extras=conditioning.computed["keys_values"],
        )
        return self.read_image(x, vector)


class CrossAttentionBlock(nnx.Module):
    """Self-attention, cross-attention without norms or modulation, and the feed-forward part."""

    def __init__(self, config: CrossAttention, key: Array, *, takes_skip: bool) -> None:
        width = config.hidden_width
        keys = jax.random.split(key, 5)
        self.attention: AttentionName = config.attention
        self.norm1 = make_norm(config.norm, width)
        self.norm2 = make_norm(config.norm, width)
        self.norm3 = make_norm(config.norm, width) if config.sandwich_norm else None
        self.norm4 = make_norm(config.norm, width) if config.sandwich_norm else None
        self.attn = SelfAttention(width, config.num_heads, keys[0], norm=config.norm, qk_norm=config.qk_norm)
        self.cross_attn = TextAttention(config, keys[1])
        self.mlp = make_feed_forward(config.feed_forward, width, config.mlp_ratio, keys[2])
        self.adaLN_modulation = block_modulation(config, keys[3])
        if takes_skip:
            self.skip_linear = Linear(2 * width, width, keys[4], init=XAVIER_UNIFORM)

    def __call__(
        self,
        x: Array,
        skip: Array | None,
        keys_values: KeysValues,
        *,
        text_mask: Array,
        table: RotaryTable | None,
        vector: Array | None,
    ) -> Array:
        """Maps image tokens (B, N, width) to the same.

        Args:
            x: image tokens.
            skip: output of the mirrored block, for blocks that take one.
            keys_values: what `TextAttention.keys_values` gave for the text.
            text_mask: (B, L) bool, the valid text tokens.
            table: rotary positions or None.
            vector: (B, width) modulation or None.
        """
        if skip is not None:
            x = self.skip_linear(jnp.concatenate([x, skip], axis=-1))
        first, second = branch_affines(self.adaLN_modulation, vector)
        branch = self.attn(first.enter(self.norm1(x)), table=table, implementation=self.attention)
        branch = branch if self.norm3 is None else self.norm3(branch)
        x = x + first.leave(branch)
        x = x + self.cross_attn(x, keys_values, text_mask, implementation=self.attention)
        branch = self.mlp(second.enter(self.norm2(x)))
        branch = branch if self.norm4 is None else self.norm4(branch)
        return x + second.leave(branch)


class TextAttention(nnx.Module):
    """Attention from image tokens to text tokens, without positions."""

    def __init__(self, config: CrossAttention, key: Array) -> None:
        width = config.hidden_width
        keys = jax.random.split(key, 4)
        self.num_heads = config.num_heads
        self.q, self.k, self.v, self.proj = (Linear(width, width, k) for k in keys)
        self.q_norm = make_norm(config.norm, config.head_dim) if config.qk_norm else None
        self.k_norm = make_norm(config.norm, config.head_dim) if config.qk_norm else None

    def keys_values(self, text: Array) -> KeysValues:
        """Returns keys and values of text tokens (B, L, width), each (B, L, heads, head_dim)."""
        k, v = split_heads(self.k(text), self.num_heads), split_heads(self.v(text), self.num_heads)
        return (k if self.k_norm is None else self.k_norm(k)), v

    def __call__(
        self, x: Array, keys_values: KeysValues, text_mask: Array, *, implementation: AttentionName
    ) -> Array:
        """Maps image tokens (B, N, width) to the same; a row without valid text reads all of it uniformly."""
        q = split_heads(self.q(x), self.num_heads)
        q = q if self.q_norm is None else self.q_norm(q)
        return self.proj(merge_heads(attention(q, *keys_values, text_mask, implementation)))
