"""A backbone of image tokens that read the text by cross-attention."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from jax import Array
from jaxtyping import Bool, Float

from i1_model.backbones.base import LatentSpec
from i1_model.backbones.patch_transformer import (
    PatchTransformer,
    PatchTransformerConfig,
    PooledConditioning,
    block_modulation,
)
from i1_model.layers.feed_forward import make_feed_forward
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.modulation import split_modulation
from i1_model.layers.norms import make_norm
from i1_model.layers.rope import RotaryTable, grid_table
from i1_model.layers.self_attention import SelfAttention, merge_heads, split_heads
from i1_model.layers.stack import BlockStack, LayerInputs
from i1_model.ops.attention import AttentionName, attention

KeysValues = tuple[Array, Array]


@dataclass(frozen=True, kw_only=True)
class CrossAttention(PatchTransformerConfig):
    """Blocks of self-attention over the image, cross-attention to the text, and a feed-forward network."""

    def check(self, spec: LatentSpec) -> None:
        """Checks that the options fit together and the sizes of the latents.

        Raises:
            UserError: otherwise.
        """
        super().check(spec)
        if self.positions != "sinusoidal_only" and self.head_dim % 4:
            raise UserError(
                f"rotary positions over rows and columns need a head width that is a multiple of 4, "
                f"got {self.head_dim}: change num_heads or hidden_width"
            )

    def build(self, spec: LatentSpec, key: Array) -> CrossAttentionModule:
        """Returns the backbone."""
        return CrossAttentionModule(self, spec, key)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CrossConditioning(PooledConditioning):
    """The text as every block reads it.

    Attributes:
        keys_values: keys and values of the text per block, each (B, L, heads, head_dim).
    """

    keys_values: list[KeysValues]


class CrossAttentionModule(PatchTransformer[CrossConditioning]):
    """The network of `CrossAttention`; see `i1_model.backbones.base.Backbone`."""

    config: CrossAttention

    def __init__(self, config: CrossAttention, spec: LatentSpec, key: Array) -> None:
        key_shared, key_blocks = jax.random.split(key)
        super().__init__(config, spec, key_shared)
        self.blocks = BlockStack(
            lambda k, has_skip: CrossAttentionBlock(config, k, has_skip=has_skip),
            config.depth,
            key_blocks,
            long_skip=config.long_skip,
        )

    def condition(self, tokens: Float[Array, "B L W"], mask: Bool[Array, "B L"]) -> CrossConditioning:
        """Returns the text with every block's keys and values of it."""
        tokens, mask, pooled = self.prepare_text(tokens, mask)
        keys_values = self.blocks.map(lambda block: block.cross_attn.keys_values(tokens))
        return CrossConditioning(tokens=tokens, mask=mask, pooled=pooled, keys_values=keys_values)

    def __call__(
        self, latents: Float[Array, "B H W C"], time: Float[Array, " B"], conditioning: CrossConditioning
    ) -> Float[Array, "B H W C"]:
        """Predicts the flow target; see `Backbone`."""
        config = self.config
        vector = self.modulation_vector(time, conditioning.pooled)
        table = None
        if config.positions != "sinusoidal_only":
            table = grid_table(self.grid, config.head_dim, theta=config.rope_theta, scale=self.scale)

        def step(block: CrossAttentionBlock, x: Array, inputs: LayerInputs[Array, KeysValues]) -> Array:
            assert inputs.own is not None  # every layer has keys and values of the text
            return block(x, inputs.skip, inputs.own, text_mask=conditioning.mask, table=table, vector=vector)

        x = self.blocks(
            step,
            self.patchify(latents),
            layers=config.layers,
            remat=config.remat,
            keep=config.remat_saved,
            per_layer=conditioning.keys_values,
        )
        return self.unpatchify(x, vector)


class CrossAttentionBlock(nnx.Module):
    """Self-attention, cross-attention without norms or modulation, and the feed-forward network."""

    def __init__(self, config: CrossAttention, key: Array, *, has_skip: bool) -> None:
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
        self.skip_linear = Linear(2 * width, width, keys[4], init=XAVIER_UNIFORM) if has_skip else None

    def __call__(
        self,
        x: Float[Array, "B N W"],
        skip: Float[Array, "B N W"] | None,
        keys_values: KeysValues,
        *,
        text_mask: Bool[Array, "B L"],
        table: RotaryTable | None,
        vector: Float[Array, "B W"] | None,
    ) -> Float[Array, "B N W"]:
        """Maps image tokens (B, N, width) to tokens of the same shape.

        Args:
            x: image tokens.
            skip: output of the mirrored block, for a block with a long skip.
            keys_values: what `TextAttention.keys_values` gave for the text.
            text_mask: (B, L) bool, the valid text tokens.
            table: rotary positions or None.
            vector: (B, width) that modulates the block, or None.
        """
        if self.skip_linear is not None and skip is not None:
            x = self.skip_linear(jnp.concatenate([x, skip], axis=-1))
        attention_branch, mlp_branch = split_modulation(self.adaLN_modulation, vector)
        branch = self.attn(
            attention_branch.modulate(self.norm1(x)), table=table, implementation=self.attention
        )
        branch = branch if self.norm3 is None else self.norm3(branch)
        x = x + attention_branch.gate(branch)
        x = x + self.cross_attn(x, keys_values, text_mask, implementation=self.attention)
        branch = self.mlp(mlp_branch.modulate(self.norm2(x)))
        branch = branch if self.norm4 is None else self.norm4(branch)
        return x + mlp_branch.gate(branch)


class TextAttention(nnx.Module):
    """Attention from image tokens to text tokens, without positions."""

    def __init__(self, config: CrossAttention, key: Array) -> None:
        width = config.hidden_width
        keys = jax.random.split(key, 4)
        self.num_heads = config.num_heads
        self.q, self.k, self.v, self.proj = (Linear(width, width, k) for k in keys)
        self.q_norm = make_norm(config.norm, config.head_dim) if config.qk_norm else None
        self.k_norm = make_norm(config.norm, config.head_dim) if config.qk_norm else None

    def keys_values(self, text: Float[Array, "B L W"]) -> KeysValues:
        """Returns keys and values of text tokens (B, L, width), each (B, L, heads, head_dim)."""
        k, v = split_heads(self.k(text), self.num_heads), split_heads(self.v(text), self.num_heads)
        return (k if self.k_norm is None else self.k_norm(k)), v

    def __call__(
        self,
        x: Float[Array, "B N W"],
        keys_values: KeysValues,
        text_mask: Bool[Array, "B L"],
        *,
        implementation: AttentionName,
    ) -> Float[Array, "B N W"]:
        """Maps image tokens (B, N, width) to tokens of the same shape.

        A row without valid text reads all of it uniformly.
        """
        q = split_heads(self.q(x), self.num_heads)
        q = q if self.q_norm is None else self.q_norm(q)
        return self.proj(merge_heads(attention(q, *keys_values, text_mask, implementation)))
