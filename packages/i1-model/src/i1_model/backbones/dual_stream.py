"""The backbone of i1: an image stream and a text stream that share one attention in every block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from i1_model.backbones.base import LatentSpec
from i1_model.backbones.patch_transformer import PatchTransformer, PooledConditioning, block_modulation
from i1_model.backbones.rotary import RotaryConfig, joint_rotary_table
from i1_model.layers.feed_forward import FeedForward, make_feed_forward
from i1_model.layers.linear import XAVIER_UNIFORM, Linear
from i1_model.layers.modulation import BranchModulation, split_modulation
from i1_model.layers.norms import Norm, make_norm
from i1_model.layers.rope import RotaryTable, rotate
from i1_model.layers.self_attention import merge_heads, normalise_heads, project_heads
from i1_model.layers.stack import BlockStack, LayerInputs
from i1_model.ops.attention import attention


@dataclass(frozen=True, kw_only=True)
class DualStream(RotaryConfig):
    """Two streams with their own projections, feed-forward networks and skips; the defaults are i1-3B.

    Attributes:
        separate_norms: whether each stream has its own norms of queries and keys, and before attention and
            feed-forward network. The sandwich norms are always shared.
    """

    separate_norms: bool = False

    def build(self, spec: LatentSpec, key: Array) -> DualStreamModule:
        """Returns the backbone."""
        return DualStreamModule(self, spec, key)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class DualConditioning(PooledConditioning):
    """The text, and the positions that depend on its length.

    Attributes:
        table: rotary table of the [image, text] tokens; None without rotary positions.
    """

    table: RotaryTable | None


class DualTokens(NamedTuple):
    """The tokens of both streams.

    Attributes:
        image: (B, N, width).
        text: (B, L, width); None after the final block, where nothing reads it.
    """

    image: Array
    text: Array | None

    def both(self) -> tuple[Array, Array]:
        """Returns image and text, where neither is left out."""
        assert self.text is not None  # only the final block leaves the text out, and no block follows it
        return self.image, self.text


class DualStreamModule(PatchTransformer[DualConditioning]):
    """The network of `DualStream`; see `i1_model.backbones.base.Backbone`."""

    config: DualStream

    def __init__(self, config: DualStream, spec: LatentSpec, key: Array) -> None:
        key_shared, key_blocks = jax.random.split(key)
        super().__init__(config, spec, key_shared)
        self.blocks = BlockStack(
            lambda k, has_skip: DualStreamBlock(config, k, has_skip=has_skip),
            config.depth,
            key_blocks,
            long_skip=config.long_skip,
        )

    def condition(self, tokens: Float[Array, "B L W"], mask: Bool[Array, "B L"]) -> DualConditioning:
        """Returns the text with the rotary table of the [image, text] tokens."""
        tokens, mask, pooled = self.prepare_text(tokens, mask)
        table = joint_rotary_table(self.config, self.spec, self.grid, self.scale, mask)
        return DualConditioning(tokens=tokens, mask=mask, pooled=pooled, table=table)

    def __call__(
        self, latents: Float[Array, "B H W C"], time: Float[Array, " B"], conditioning: DualConditioning
    ) -> Float[Array, "B H W C"]:
        """Predicts the flow target; see `Backbone`."""
        image = self.patchify(latents)
        vector = self.modulation_vector(time, conditioning.pooled)
        image_mask = jnp.ones(image.shape[:2], bool)
        mask = jnp.concatenate([image_mask, conditioning.mask], axis=1)

        def step(
            block: DualStreamBlock, tokens: DualTokens, inputs: LayerInputs[DualTokens, None]
        ) -> DualTokens:
            return block(
                tokens,
                inputs.skip,
                mask=mask,
                table=conditioning.table,
                vector=vector,
                image_only=inputs.is_last,
            )

        tokens = self.blocks(
            step,
            DualTokens(image, conditioning.tokens),
            layers=self.config.layers,
            remat=self.config.remat,
            keep=self.config.remat_saved,
        )
        return self.unpatchify(tokens.image, vector)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The layers of one block that the tokens of one modality pass through, in their order.

    Attributes:
        skip_linear: joins the long skip; None in blocks without one.
        norm1: before attention.
        qkv: the projection to queries, keys and values.
        q_norm: of queries; None without `qk_norm`.
        k_norm: of keys; None without `qk_norm`.
        proj: the projection of the attention output.
        norm3: after attention; None without `sandwich_norm`.
        norm2: before the feed-forward network.
        mlp: the feed-forward network.
        norm4: after the feed-forward network; None without `sandwich_norm`.
    """

    skip_linear: Linear | None
    norm1: Norm
    qkv: Linear
    q_norm: Norm | None
    k_norm: Norm | None
    proj: Linear
    norm3: Norm | None
    norm2: Norm
    mlp: FeedForward
    norm4: Norm | None

    def join_skip(self, x: Array, skip: Array) -> Array:
        """Maps tokens and the tokens of the mirrored block, each (B, S, width), to (B, S, width)."""
        assert self.skip_linear is not None  # the stack gives a skip only to blocks that were built with one
        return self.skip_linear(jnp.concatenate([x, skip], axis=-1))

    def project(self, x: Array, num_heads: int, *, rotary: bool) -> tuple[Array, Array, Array]:
        """Returns normalised queries and keys, and values, each (B, S, heads, head_dim)."""
        q, k, v = project_heads(self.qkv, x, num_heads, rotary=rotary)
        return (
            normalise_heads(self.q_norm, q, rotary=rotary),
            normalise_heads(self.k_norm, k, rotary=rotary),
            v,
        )

    def project_keys(self, x: Array, num_heads: int, *, rotary: bool) -> tuple[Array, Array]:
        """Returns the keys and values of `project` without computing queries."""
        k, v = project_heads(self.qkv, x, num_heads, slice(1, 3), rotary=rotary)
        return normalise_heads(self.k_norm, k, rotary=rotary), v

    def add_attention(self, x: Array, branch: Array, modulation: BranchModulation) -> Array:
        """Adds the projected attention output to the tokens."""
        branch = branch if self.norm3 is None else self.norm3(branch)
        return x + modulation.gate(branch)

    def add_feed_forward(self, x: Array, modulation: BranchModulation) -> Array:
        """Adds the feed-forward network of the tokens to them."""
        branch = self.mlp(modulation.modulate(self.norm2(x)))
        branch = branch if self.norm4 is None else self.norm4(branch)
        return x + modulation.gate(branch)


class DualStreamBlock(nnx.Module):
    """Joint attention over the [image, text] tokens, then the feed-forward network of each stream.

    Masked text tokens are excluded as keys. No valid token ever reads them, so they need no zeroing.
    """

    def __init__(self, config: DualStream, key: Array, *, has_skip: bool) -> None:
        width, norm, separate = config.hidden_width, config.norm, config.separate_norms
        keys = jax.random.split(key, 6)
        self.config = config
        self.norm1 = None if separate else make_norm(norm, width)
        self.norm1_image = make_norm(norm, width) if separate else None
        self.norm1_text = make_norm(norm, width) if separate else None
        self.norm2 = None if separate else make_norm(norm, width)
        self.norm2_image = make_norm(norm, width) if separate else None
        self.norm2_text = make_norm(norm, width) if separate else None
        self.norm3 = make_norm(norm, width) if config.sandwich_norm else None
        self.norm4 = make_norm(norm, width) if config.sandwich_norm else None
        self.attn = JointAttention(config, keys[0])
        self.mlp_image = make_feed_forward(config.feed_forward, width, config.mlp_ratio, keys[1])
        self.mlp_text = make_feed_forward(config.feed_forward, width, config.mlp_ratio, keys[2])
        self.adaLN_modulation = block_modulation(config, keys[3])
        self.skip_linear_image = Linear(2 * width, width, keys[4], init=XAVIER_UNIFORM) if has_skip else None
        self.skip_linear_text = Linear(2 * width, width, keys[5], init=XAVIER_UNIFORM) if has_skip else None

    @property
    def image(self) -> Stream:
        """The layers of the image stream."""
        return Stream(
            skip_linear=self.skip_linear_image,
            norm1=_present(self.norm1, self.norm1_image),
            qkv=self.attn.qkv_image,
            q_norm=self.attn.q_norm_image if self.attn.q_norm is None else self.attn.q_norm,
            k_norm=self.attn.k_norm_image if self.attn.k_norm is None else self.attn.k_norm,
            proj=self.attn.proj_image,
            norm3=self.norm3,
            norm2=_present(self.norm2, self.norm2_image),
            mlp=self.mlp_image,
            norm4=self.norm4,
        )

    @property
    def text(self) -> Stream:
        """The layers of the text stream."""
        return Stream(
            skip_linear=self.skip_linear_text,
            norm1=_present(self.norm1, self.norm1_text),
            qkv=self.attn.qkv_text,
            q_norm=self.attn.q_norm_text if self.attn.q_norm is None else self.attn.q_norm,
            k_norm=self.attn.k_norm_text if self.attn.k_norm is None else self.attn.k_norm,
            proj=self.attn.proj_text,
            norm3=self.norm3,
            norm2=_present(self.norm2, self.norm2_text),
            mlp=self.mlp_text,
            norm4=self.norm4,
        )

    def __call__(
        self,
        tokens: DualTokens,
        skip: DualTokens | None,
        *,
        mask: Bool[Array, "B S"],
        table: RotaryTable | None,
        vector: Float[Array, "B W"] | None,
        image_only: bool,
    ) -> DualTokens:
        """Maps the tokens of both streams to tokens of the same shapes.

        Args:
            tokens: of both streams.
            skip: tokens of the mirrored block, for a block with a long skip.
            mask: (B, N + L) bool, valid keys.
            table: rotary positions of the [image, text] tokens, or None.
            vector: (B, width) that modulates the block, or None.
            image_only: whether everything that the image stream does not read is left out; the text is then
                None.
        """
        image, text = tokens.both()
        if skip is not None:
            image_skip, text_skip = skip.both()
            image = self.image.join_skip(image, image_skip)
            text = self.text.join_skip(text, text_skip)
        attention_branch, mlp_branch = split_modulation(self.adaLN_modulation, vector)
        image_out, text_out = self.attend(
            attention_branch.modulate(self.image.norm1(image)),
            attention_branch.modulate(self.text.norm1(text)),
            mask=mask,
            table=table,
            image_only=image_only,
        )
        image = self.image.add_attention(image, image_out, attention_branch)
        image = self.image.add_feed_forward(image, mlp_branch)
        if text_out is None:
            return DualTokens(image, None)
        text = self.text.add_attention(text, text_out, attention_branch)
        return DualTokens(image, self.text.add_feed_forward(text, mlp_branch))

    def attend(
        self,
        image: Float[Array, "B N W"],
        text: Float[Array, "B L W"],
        *,
        mask: Bool[Array, "B S"],
        table: RotaryTable | None,
        image_only: bool,
    ) -> tuple[Float[Array, "B N W"], Float[Array, "B L W"] | None]:
        """Returns the attention outputs of both streams; the text's is None with `image_only`."""
        rotary, num_heads = table is not None, self.config.num_heads
        q, k, v = self.image.project(image, num_heads, rotary=rotary)
        if image_only:
            text_k, text_v = self.text.project_keys(text, num_heads, rotary=rotary)
        else:
            text_q, text_k, text_v = self.text.project(text, num_heads, rotary=rotary)
            q = jnp.concatenate([q, text_q], axis=1)
        k = jnp.concatenate([k, text_k], axis=1)
        v = jnp.concatenate([v, text_v], axis=1)
        if table is not None:
            q = rotate(q, table.select(slice(q.shape[1])))
            k = rotate(k, table)
        out = merge_heads(attention(q, k, v, mask, self.config.attention))
        if image_only:
            return self.image.proj(out), None
        num_image = image.shape[1]
        return self.image.proj(out[:, :num_image]), self.text.proj(out[:, num_image:])


class JointAttention(nnx.Module):
    """The parameters of the joint attention: projections per stream, norms shared or per stream."""

    def __init__(self, config: DualStream, key: Array) -> None:
        width, separate = config.hidden_width, config.separate_norms
        keys = jax.random.split(key, 4)
        self.qkv_image = Linear(width, 3 * width, keys[0])
        self.qkv_text = Linear(width, 3 * width, keys[1])
        self.proj_image = Linear(width, width, keys[2])
        self.proj_text = Linear(width, width, keys[3])

        def make_head_norm(*, exists: bool) -> Norm | None:
            return make_norm(config.norm, config.head_dim) if config.qk_norm and exists else None

        self.q_norm, self.k_norm = make_head_norm(exists=not separate), make_head_norm(exists=not separate)
        self.q_norm_image, self.k_norm_image = (
            make_head_norm(exists=separate),
            make_head_norm(exists=separate),
        )
        self.q_norm_text, self.k_norm_text = make_head_norm(exists=separate), make_head_norm(exists=separate)


def _present(shared: Norm | None, own: Norm | None) -> Norm:
    """Returns the norm that the streams share, or else the stream's own."""
    norm = own if shared is None else shared
    assert norm is not None  # a block is built with one of them
    return norm
