"""A backbone whose image and text tokens share all weights after a few blocks of their own."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from jax import Array

from i1_model.backbones.base import Backbone, Conditioning, LatentSpec
from i1_model.backbones.patch_transformer import PatchTransformer, block_modulation
from i1_model.backbones.rotary import RotaryConfig, rotary_table
from i1_model.layers.feed_forward import make_feed_forward
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.modulation import branch_affines
from i1_model.layers.norms import make_norm
from i1_model.layers.rope import RotaryTable
from i1_model.layers.self_attention import SelfAttention
from i1_model.layers.stack import BlockStack
from i1_model.ops.attention import AttentionName


@dataclass(frozen=True, kw_only=True)
class SingleStream(RotaryConfig):
    """Refiner blocks for text and image, then one stack of blocks over [image, text].

    Sandwich norms exist only where a block is modulated: there are none without AdaLN or in the text refiner.

    Attributes:
        refiner_layers: number of blocks that text and image have each to themselves; 0 for none.
    """

    refiner_layers: int = 2

    def check(self, spec: LatentSpec) -> None:
        """Raises UserError for sizes that do not fit together."""
        super().check(spec)
        if self.refiner_layers < 0:
            raise UserError(f"backbone refiner_layers {self.refiner_layers}: use 0 or more")

    def build(self, spec: LatentSpec, key: Array) -> Backbone:
        """Returns the backbone."""
        return SingleStreamModule(self, spec, key)


class SingleStreamModule(PatchTransformer):
    """The backbone; see `i1_model.backbones.base.Backbone`."""

    config: SingleStream

    def __init__(self, config: SingleStream, spec: LatentSpec, key: Array) -> None:
        key_shared, key_text, key_image, key_blocks = jax.random.split(key, 4)
        super().__init__(config, spec, key_shared)

        def refiner(refiner_key: Array, *, modulated: bool) -> BlockStack | None:
            if not config.refiner_layers:
                return None
            return BlockStack(
                lambda k, _: SingleStreamBlock(config, k, modulated=modulated, takes_skip=False),
                config.refiner_layers,
                refiner_key,
                long_skip=False,
            )

        self.context_refiner = refiner(key_text, modulated=False)
        self.noise_refiner = refiner(key_image, modulated=True)
        self.blocks = BlockStack(
            lambda k, takes_skip: SingleStreamBlock(config, k, modulated=True, takes_skip=takes_skip),
            config.depth,
            key_blocks,
            long_skip=config.long_skip,
        )

    @property
    def num_image(self) -> int:
        """Number of image tokens."""
        return self.grid[0] * self.grid[1]

    def condition(self, tokens: Array, mask: Array) -> Conditioning:
        """Returns the refined text with the rotary table of [image, text] tokens."""
        conditioning = super().condition(tokens, mask)
        table = rotary_table(self.config, self.spec, self.grid, self.scale, conditioning.mask)
        text = self._run(
            self.context_refiner,
            conditioning.tokens,
            mask=conditioning.mask,
            table=None if table is None else table.part(slice(self.num_image, None)),
            vector=None,
        )
        return conditioning.adding(table=table, refined=text)

    def __call__(self, latents: Array, time: Array, conditioning: Conditioning) -> Array:
        """Predicts the flow target; see `Backbone`."""
        vector = self.modulation_vector(time, conditioning)
        table = conditioning.computed["table"]
        image = self._run(
            self.noise_refiner,
            self.embed_image(latents),
            mask=None,
            table=None if table is None else table.part(slice(self.num_image)),
            vector=vector,
        )
        x = jnp.concatenate([image, conditioning.computed["refined"]], axis=1)
        mask = jnp.concatenate([jnp.ones(image.shape[:2], bool), conditioning.mask], axis=1)
        x = self._run(self.blocks, x, mask=mask, table=table, vector=vector, num_read=self.num_image)
        return self.read_image(x, vector)

    def _run(
        self,
        stack: BlockStack | None,
        x: Array,
        *,
        mask: Array | None,
        table: RotaryTable | None,
        vector: Array | None,
        num_read: int | None = None,
    ) -> Array:
        """Applies a stack; `num_read` is how many leading tokens of its output are wanted."""
        if stack is None:
            return x

        def step(block: SingleStreamBlock, x: Array, skip: Array | None, extra: None, last: bool) -> Array:
            del extra
            num_queries = num_read if last else None
            return block(x, skip, mask=mask, table=table, vector=vector, num_queries=num_queries)

        config = self.config
        return stack(step, x, layers=config.layers, remat=config.remat, keep=config.remat_saved)


class SingleStreamBlock(nnx.Module):
    """Self-attention, then the feed-forward part; modulated or plain."""

    def __init__(self, config: SingleStream, key: Array, *, modulated: bool, takes_skip: bool) -> None:
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
        if takes_skip:
            self.skip_linear = Linear(2 * width, width, keys[3], init=XAVIER_UNIFORM)

    def __call__(
        self,
        x: Array,
        skip: Array | None,
        *,
        mask: Array | None,
        table: RotaryTable | None,
        vector: Array | None,
        num_queries: int | None,
    ) -> Array:
        """Maps (B, S, width) to (B, num_queries or S, width).

        Args:
            x: tokens.
            skip: output of the mirrored block, for blocks that take one.
            mask: (B, S) bool, valid keys; None for all.
            table: rotary positions or None.
            vector: (B, width) modulation or None.
            num_queries: number of leading tokens whose output is wanted; None for all.
        """
        if skip is not None:
            x = self.skip_linear(jnp.concatenate([x, skip], axis=-1))
        first, second = branch_affines(self.adaLN_modulation, vector)
        branch = self.attn(
            first.enter(self.norm1(x)),
            mask=mask,
            table=table,
            num_queries=num_queries,
            implementation=self.attention,
        )
        branch = branch if self.norm3 is None else self.norm3(branch)
        x = x[:, :num_queries] + first.leave(branch)
        branch = self.mlp(second.enter(self.norm2(x)))
        branch = branch if self.norm4 is None else self.norm4(branch)
        return x + second.leave(branch)
