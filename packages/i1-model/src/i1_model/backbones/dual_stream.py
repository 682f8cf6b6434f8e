"""The backbone of i1: image and text streams with joint attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from i1_model.backbones.base import Backbone, Conditioning, LatentSpec
from i1_model.backbones.patch_transformer import PatchTransformer, block_modulation
from i1_model.backbones.rotary import RotaryConfig, rotary_table
from i1_model.layers.feed_forward import make_feed_forward
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.modulation import Affine, branch_affines
from i1_model.layers.norms import Norm, make_norm
from i1_model.layers.rope import RotaryTable, rotate
from i1_model.layers.self_attention import merge_heads, normalise_heads, project_heads
from i1_model.layers.stack import BlockStack
from i1_model.ops.attention import attention


@dataclass(frozen=True, kw_only=True)
class DualStream(RotaryConfig):
    """Two streams with their own projections, feed-forward and skip layers; the defaults are i1-3B.

    Attributes:
        separate_norms: whether the norms before attention and feed-forward, and those of queries and keys,
            are the streams' own; the sandwich norms are always shared.
    """

    separate_norms: bool = False

    def build(self, spec: LatentSpec, key: Array) -> Backbone:
        """Returns the backbone."""
        return DualStreamModule(self, spec, key)


class DualStreamModule(PatchTransformer):
    """The backbone; see `i1_model.backbones.base.Backbone`."""

    config: DualStream

    def __init__(self, config: DualStream, spec: LatentSpec, key: Array) -> None:
        key_shared, key_blocks = jax.random.split(key)
        super().__init__(config, spec, key_shared)
        self.blocks = BlockStack(
            lambda k, takes_skip: DualStreamBlock(config, k, takes_skip=takes_skip),
            config.depth,
            key_blocks,
            long_skip=config.long_skip,
        )

    def condition(self, tokens: Array, mask: Array) -> Conditioning:
        """Returns the text with the rotary table of [image, text] tokens."""
        conditioning = super().condition(tokens, mask)
        table = rotary_table(self.config, self.spec, self.grid, self.scale, conditioning.mask)
        return conditioning.adding(table=table)

    def __call__(self, latents: Array, time: Array, conditioning: Conditioning) -> Array:
        """Predicts the flow target; see `Backbone`."""
        image = self.embed_image(latents)
        vector = self.modulation_vector(time, conditioning)
        image_mask = jnp.ones(image.shape[:2], bool)
        mask = jnp.concatenate([image_mask, conditioning.mask], axis=1)
        table = conditioning.computed["table"]

        def step(block: DualStreamBlock, x: Any, skip: Any, extra: None, last: bool) -> Any:
            del extra
            image, text = x
            return block(image, text, skip, mask=mask, table=table, vector=vector, image_only=last)

        image, _ = self.blocks(
            step,
            (image, conditioning.tokens),
            layers=self.config.layers,
            remat=self.config.remat,
            keep=self.config.remat_saved,
        )
        return self.read_image(image, vector)


class DualStreamBlock(nnx.Module):
    """Joint attention over [image, text], then each stream's feed-forward part.

    Masked text tokens are excluded as keys, so that nothing valid ever reads them; they need no zeroing.
    """

    def __init__(self, config: DualStream, key: Array, *, takes_skip: bool) -> None:
        width = config.hidden_width
        keys = jax.random.split(key, 6)
        self.config = config
        _add_norms(self, ("norm1", "norm2"), config, width)
        if config.sandwich_norm:
            self.norm3 = make_norm(config.norm, width)
            self.norm4 = make_norm(config.norm, width)
        self.attn = JointAttention(config, keys[0])
        self.mlp_image = make_feed_forward(config.feed_forward, width, config.mlp_ratio, keys[1])
        self.mlp_text = make_feed_forward(config.feed_forward, width, config.mlp_ratio, keys[2])
        self.adaLN_modulation = block_modulation(config, keys[3])
        if takes_skip:
            self.skip_linear_image = Linear(2 * width, width, keys[4], init=XAVIER_UNIFORM)
            self.skip_linear_text = Linear(2 * width, width, keys[5], init=XAVIER_UNIFORM)

    def __call__(
        self,
        image: Array,
        text: Array,
        skip: tuple[Array, Array] | None,
        *,
        mask: Array,
        table: RotaryTable | None,
        vector: Array | None,
        image_only: bool,
    ) -> tuple[Array, Array | None]:
        """Maps image (B, N, width) and text (B, L, width) tokens to the same.

        Args:
            image: image tokens.
            text: text tokens.
            skip: both streams of the mirrored block, for blocks that take one.
            mask: (B, N + L) bool, valid keys.
            table: rotary positions of [image, text] or None.
            vector: (B, width) modulation or None.
            image_only: leave out all that the image stream does not read; the text comes back as None.
        """
        if skip is not None:
            image = self.skip_linear_image(jnp.concatenate([image, skip[0]], axis=-1))
            text = self.skip_linear_text(jnp.concatenate([text, skip[1]], axis=-1))
        first, second = branch_affines(self.adaLN_modulation, vector)
        image_out, text_out = self.attn(
            first.enter(_norm(self, "norm1", "image")(image)),
            first.enter(_norm(self, "norm1", "text")(text)),
            mask=mask,
            table=table,
            image_only=image_only,
        )
        image = self._add(image, image_out, first, "norm3")
        image = self._feed(image, second, "image")
        if text_out is None:
            return image, None
        text = self._add(text, text_out, first, "norm3")
        return image, self._feed(text, second, "text")

    def _add(self, x: Array, branch: Array, affine: Affine, sandwich: str) -> Array:
        if self.config.sandwich_norm:
            branch = getattr(self, sandwich)(branch)
        return x + affine.leave(branch)

    def _feed(self, x: Array, affine: Affine, stream: str) -> Array:
        mlp = self.mlp_image if stream == "image" else self.mlp_text
        return self._add(x, mlp(affine.enter(_norm(self, "norm2", stream)(x))), affine, "norm4")


class JointAttention(nnx.Module):
    """Attention over the tokens of both streams, each with its own projections."""

    def __init__(self, config: DualStream, key: Array) -> None:
        width = config.hidden_width
        keys = jax.random.split(key, 4)
        self.config = config
        self.qkv_image = Linear(width, 3 * width, keys[0])
        self.qkv_text = Linear(width, 3 * width, keys[1])
        self.proj_image = Linear(width, width, keys[2])
        self.proj_text = Linear(width, width, keys[3])
        if config.qk_norm:
            _add_norms(self, ("q_norm", "k_norm"), config, config.head_dim)

    def __call__(
        self, image: Array, text: Array, *, mask: Array, table: RotaryTable | None, image_only: bool
    ) -> tuple[Array, Array | None]:
        """Maps both streams to their attention outputs.

        With `image_only` the text has no queries and no output.
        """
        num_image = image.shape[1]
        q, k, v = self._project(image, "image", slice(3), rotary=table is not None)
        text_parts = self._project(text, "text", slice(1 if image_only else 0, 3), rotary=table is not None)
        if not image_only:
            q = jnp.concatenate([q, text_parts.pop(0)], axis=1)
        k = jnp.concatenate([k, text_parts[0]], axis=1)
        v = jnp.concatenate([v, text_parts[1]], axis=1)
        if table is not None:
            q = rotate(q, table.part(slice(q.shape[1])))
            k = rotate(k, table)
        out = merge_heads(attention(q, k, v, mask, self.config.attention))
        if image_only:
            return self.proj_image(out), None
        return self.proj_image(out[:, :num_image]), self.proj_text(out[:, num_image:])

    def _project(self, x: Array, stream: str, parts: slice, *, rotary: bool) -> list[Array]:
        linear = self.qkv_image if stream == "image" else self.qkv_text
        *qk, v = project_heads(linear, x, self.config.num_heads, parts, rotary=rotary)
        if self.config.qk_norm:
            names = ("q_norm", "k_norm")[parts.start or 0 :]
            qk = [
                normalise_heads(_norm(self, name, stream), part, rotary=rotary)
                for name, part in zip(names, qk, strict=True)
            ]
        return [*qk, v]


def _add_norms(owner: Any, names: tuple[str, ...], config: DualStream, width: int) -> None:
    """Gives `owner` its norms: `name`, or `name_image` and `name_text` with separate norms."""
    for name in names:
        for suffix in ("_image", "_text") if config.separate_norms else ("",):
            setattr(owner, name + suffix, make_norm(config.norm, width))


def _norm(owner: Any, name: str, stream: str) -> Norm:
    return getattr(owner, f"{name}_{stream}" if owner.config.separate_norms else name)
