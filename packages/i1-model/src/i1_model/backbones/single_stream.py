"""A backbone whose image and text tokens share all parameters after a few blocks of their own."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from i1_model.backbones.base import LatentSpec
from i1_model.backbones.patch_transformer import PatchTransformer, PooledConditioning, block_modulation
from i1_model.backbones.rotary import RotaryConfig, joint_rotary_table
from i1_model.layers.feed_forward import make_feed_forward
from i1_model.layers.limits import MAX_DEPTH, check_size
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.modulation import split_modulation
from i1_model.layers.norms import make_norm
from i1_model.layers.rope import RotaryTable
from i1_model.layers.self_attention import SelfAttention
from i1_model.layers.stack import BlockStack, LayerInputs
from i1_model.ops.attention import AttentionName


@dataclass(frozen=True, kw_only=True)
class SingleStream(RotaryConfig):
    """Refiner blocks for text and image, then one stack of blocks over [image, text].

    Sandwich norms exist only where a block is modulated: there are none without AdaLN or in the text refiner.

    Attributes:
        refiner_layers: number of blocks that only the text passes through, and as many only the image.
    """

    refiner_layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("backbone refiner_layers", self.refiner_layers, smallest=0, largest=MAX_DEPTH)

    def build(self, spec: LatentSpec, key: Array) -> SingleStreamModule:
        """Returns the backbone."""
        return SingleStreamModule(self, spec, key)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class SingleConditioning(PooledConditioning):
    """The text after its refiner, and the positions that depend on its length.

    Attributes:
        refined: (B, L, width), the text tokens after the refiner.
        table: rotary table of the [image, text] tokens; None without rotary positions.
    """

    refined: Array
    table: RotaryTable | None


class SingleStreamModule(PatchTransformer[SingleConditioning]):
    """The network of `SingleStream`; see `i1_model.backbones.base.Backbone`."""

    config: SingleStream

    def __init__(self, config: SingleStream, spec: LatentSpec, key: Array) -> None:
        key_shared, key_text, key_image, key_blocks = jax.random.split(key, 4)
        super().__init__(config, spec, key_shared)

        self.context_refiner = _make_refiner(config, key_text, modulated=False)
        self.noise_refiner = _make_refiner(config, key_image, modulated=True)
        self.blocks = BlockStack(
            lambda k, has_skip: SingleStreamBlock(config, k, modulated=True, has_skip=has_skip),
            config.depth,
            key_blocks,
            long_skip=config.long_skip,
        )

    @property
    def num_image(self) -> int:
        """Number of image tokens."""
        return self.grid[0] * self.grid[1]

    def condition(self, tokens: Float[Array, "B L W"], mask: Bool[Array, "B L"]) -> SingleConditioning:
        """Returns the refined text with the rotary table of the [image, text] tokens."""
        tokens, mask, pooled = self.prepare_text(tokens, mask)
        table = joint_rotary_table(self.config, self.spec, self.grid, self.scale, mask)
        refined = self._apply(
            self.context_refiner,
            tokens,
            mask=mask,
            table=None if table is None else table.select(slice(self.num_image, None)),
            vector=None,
        )
        return SingleConditioning(tokens=tokens, mask=mask, pooled=pooled, refined=refined, table=table)

    def __call__(
        self, latents: Float[Array, "B H W C"], time: Float[Array, " B"], conditioning: SingleConditioning
    ) -> Float[Array, "B H W C"]:
        """Predicts the flow target; see `Backbone`."""
        vector = self.modulation_vector(time, conditioning.pooled)
        table = conditioning.table
        image = self._apply(
            self.noise_refiner,
            self.patchify(latents),
            mask=None,
            table=None if table is None else table.select(slice(self.num_image)),
            vector=vector,
        )
        x = jnp.concatenate([image, conditioning.refined], axis=1)
        mask = jnp.concatenate([jnp.ones(image.shape[:2], bool), conditioning.mask], axis=1)
        x = self._apply(self.blocks, x, mask=mask, table=table, vector=vector, num_read=self.num_image)
        return self.unpatchify(x, vector)

    def _apply(
        self,
        stack: BlockStack[SingleStreamBlock] | None,
        x: Array,
        *,
        mask: Array | None,
        table: RotaryTable | None,
        vector: Array | None,
        num_read: int | None = None,
    ) -> Array:
        """Applies a stack; `num_read` is the number of leading tokens whose output is read, None for all."""
        if stack is None:
            return x

        def step(block: SingleStreamBlock, x: Array, inputs: LayerInputs[Array, None]) -> Array:
            return block(
                x,
                inputs.skip,
                mask=mask,
                table=table,
                vector=vector,
                num_queries=num_read if inputs.is_last else None,
            )

        config = self.config
        return stack(step, x, layers=config.layers, remat=config.remat, keep=config.remat_saved)


def _make_refiner(
    config: SingleStream, key: Array, *, modulated: bool
) -> BlockStack[SingleStreamBlock] | None:
    if not config.refiner_layers:
        return None
    return BlockStack(
        lambda k, _: SingleStreamBlock(config, k, modulated=modulated, has_skip=False),
        config.refiner_layers,
        key,
        long_skip=False,
    )


class SingleStreamBlock(nnx.Module):
    """Self-attention, then the feed-forward network, with or without modulation."""

    def __init__(self, config: SingleStream, key: Array, *, modulated: bool, has_skip: bool) -> None:
        width = config.hidden_width
        keys = jax.random.split(key, 4)
        modulated = modulated and config.adaln != "none"
        self.attention: AttentionName = config.attention
        self.norm1 = make_norm(config.norm, width)
        self.norm2 = make_norm(config.norm, width)
        sandwich = modulated and config.sandwich_norm
        self.norm3 = make_norm(config.norm, width) if sandwich else None
        self.norm4 = make_norm(config.norm, width) if sandwich else None
        self.attn = SelfAttention(width, config.num_heads, keys[0], norm=config.norm, qk_norm=config.qk_norm)
        self.mlp = make_feed_forward(config.feed_forward, width, config.mlp_ratio, keys[1])
        self.adaLN_modulation = block_modulation(config, keys[2]) if modulated else None
        self.skip_linear = Linear(2 * width, width, keys[3], init=XAVIER_UNIFORM) if has_skip else None

    def __call__(
        self,
        x: Float[Array, "B S W"],
        skip: Float[Array, "B S W"] | None,
        *,
        mask: Bool[Array, "B S"] | None,
        table: RotaryTable | None,
        vector: Float[Array, "B W"] | None,
        num_queries: int | None,
    ) -> Float[Array, "B Q W"]:
        """Maps (B, S, width) to (B, num_queries or S, width).

        Args:
            x: the tokens.
            skip: output of the mirrored block, for a block with a long skip.
            mask: (B, S) bool, valid keys; None for all.
            table: rotary positions or None.
            vector: (B, width) that modulates the block, or None.
            num_queries: number of leading tokens whose output is wanted; None for all.
        """
        if self.skip_linear is not None and skip is not None:
            x = self.skip_linear(jnp.concatenate([x, skip], axis=-1))
        attention_branch, mlp_branch = split_modulation(self.adaLN_modulation, vector)
        branch = self.attn(
            attention_branch.modulate(self.norm1(x)),
            mask=mask,
            table=table,
            num_queries=num_queries,
            implementation=self.attention,
        )
        branch = branch if self.norm3 is None else self.norm3(branch)
        x = x[:, :num_queries] + attention_branch.gate(branch)
        branch = self.mlp(mlp_branch.modulate(self.norm2(x)))
        branch = branch if self.norm4 is None else self.norm4(branch)
        return x + mlp_branch.gate(branch)
