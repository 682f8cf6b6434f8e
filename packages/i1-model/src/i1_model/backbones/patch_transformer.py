"""What the transformer backbones share: patches, positions, the time embedding and the final layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from jax import Array
from jaxtyping import Bool, Float

from i1_model.backbones.base import Backbone, BackboneConfig, Conditioning, LatentSpec
from i1_model.layers.connector import Connector
from i1_model.layers.feed_forward import FeedForwardName
from i1_model.layers.limits import MAX_DEPTH, MAX_TOKENS, check_positive, check_size
from i1_model.layers.linear import Linear, affine
from i1_model.layers.modulation import BranchModulation, Modulation
from i1_model.layers.norms import NormName, make_norm
from i1_model.layers.positions import FrozenTable, sinusoidal_table
from i1_model.layers.stack import LayersName
from i1_model.layers.time_embedding import TimeEmbedder
from i1_model.ops.attention import AttentionName
from i1_model.ops.remat import SAVED, RematName, SavedName

AdalnName = Literal["none", "time", "text", "time_and_text"]
PositionsName = Literal["sinusoidal_and_rope", "sinusoidal_only", "rope_only"]
BASE_RESOLUTION = 256


@dataclass(frozen=True, kw_only=True)
class PatchTransformerConfig(BackboneConfig):
    """The options that all transformer backbones have.

    Attributes:
        hidden_width: width of the tokens, a multiple of 4 and of `num_heads`.
        num_heads: of every attention.
        depth: number of blocks; odd with `long_skip`.
        patch_size: latent pixels along the edge of a patch.
        mlp_ratio: inner width of the feed-forward network over `hidden_width`, before the 2/3 of SwiGLU.
        feed_forward: the kind of feed-forward network.
        norm: the kind of all norms.
        qk_norm: whether queries and keys are normalised per head.
        sandwich_norm: norms after attention and feed-forward as well, before the residual addition.
        adaln: what modulates the blocks: nothing, the time, the mean of the adapted text, or the sum of both.
            With `"none"` and `"text"` the network does not know the time.
        adaln_shift: whether the modulation has shifts.
        long_skip: whether the second half of the blocks receives the outputs of the first.
        time_embedder: whether there is a time embedder even where `adaln` does not read it, as in most
            published weights. False leaves it out; it needs an `adaln` without time.
        positions: the positions of image tokens.
        rope_theta: base of the rotary frequencies.
        repeat_text: whether the adapted text is given twice.
        image_connector: whether a transformer block on the image tokens precedes the positions.
        attention: the implementation, see `i1_model.ops.attention`.
        layers: how the blocks are applied, see `i1_model.layers.stack`.
        remat: what the backward pass recomputes, see `i1_model.ops.remat`.
        remat_saved: the values that are kept with `remat="saved"`.
    """

    hidden_width: int = 2016
    num_heads: int = 28
    depth: int = 29
    patch_size: int = 2
    mlp_ratio: float = 4.0
    feed_forward: FeedForwardName = "swiglu"
    norm: NormName = "rms"
    qk_norm: bool = True
    sandwich_norm: bool = True
    adaln: AdalnName = "none"
    adaln_shift: bool = True
    time_embedder: bool = True
    long_skip: bool = True
    positions: PositionsName = "sinusoidal_and_rope"
    rope_theta: float = 10000.0
    repeat_text: bool = False
    image_connector: bool = False
    attention: AttentionName = "auto"
    layers: LayersName = "unrolled"
    remat: RematName = "none"
    remat_saved: tuple[SavedName, ...] = SAVED

    @property
    def ignores_padding(self) -> bool:
        """True unless the text is given twice: the second copy is placed behind the padding of the first."""
        return not self.repeat_text

    @property
    def head_dim(self) -> int:
        """Features per head."""
        return self.hidden_width // self.num_heads

    def __post_init__(self) -> None:
        check_size("backbone hidden_width", self.hidden_width)
        check_size("backbone num_heads", self.num_heads)
        check_size("backbone depth", self.depth, largest=MAX_DEPTH)
        check_size("backbone patch_size", self.patch_size)
        check_positive("backbone mlp_ratio", self.mlp_ratio)
        check_positive("backbone rope_theta", self.rope_theta)
        if not self.time_embedder and self.adaln in ("time", "time_and_text"):
            raise UserError(
                f"backbone time_embedder false with adaln {self.adaln!r}, which reads the time: use adaln "
                "'none' or 'text', or time_embedder true"
            )

    def check(self, spec: LatentSpec) -> None:
        """Checks that the options fit together and the sizes of the latents.

        Raises:
            UserError: otherwise.
        """
        if self.hidden_width % self.num_heads:
            raise UserError(
                f"backbone num_heads {self.num_heads} does not divide hidden_width {self.hidden_width}"
            )
        if self.hidden_width % 4:
            raise UserError(f"backbone hidden_width {self.hidden_width}: use a multiple of 4")
        if spec.height % self.patch_size or spec.width % self.patch_size:
            raise UserError(
                f"backbone patch_size {self.patch_size} does not divide the latent of {spec.height}x"
                f"{spec.width}: change patch_size, model.resolution or the autoencoder's factor"
            )
        num_image = (spec.height // self.patch_size) * (spec.width // self.patch_size)
        if num_image > MAX_TOKENS:
            raise UserError(
                f"a latent of {spec.height}x{spec.width} is {num_image} image tokens, more than "
                f"{MAX_TOKENS}: use a smaller model.resolution or a larger patch_size"
            )
        if self.positions != "sinusoidal_only" and self.head_dim % 2:
            raise UserError(f"rotary positions need an even head width, got {self.head_dim}")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class PooledConditioning(Conditioning):
    """The text, and its mean where the modulation reads it.

    Attributes:
        pooled: (B, hidden_width) float32, the mean of the valid tokens; None where nothing reads it.
    """

    pooled: Array | None = None


ConditioningT = TypeVar("ConditioningT", bound=PooledConditioning)


class PatchTransformer(Backbone[ConditioningT]):
    """Patch embedding, positions, time embedder and final layer around a stack of blocks.

    Args:
        config: the options.
        spec: the sizes.
        key: random key.
    """

    def __init__(self, config: PatchTransformerConfig, spec: LatentSpec, key: Array) -> None:
        config.check(spec)
        width, patch = config.hidden_width, config.patch_size
        self.config = config
        self.spec = spec
        self.grid = (spec.height // patch, spec.width // patch)
        self.scale = BASE_RESOLUTION / spec.resolution
        keys = jax.random.split(key, 4)
        self.x_embedder = PatchEmbedder(patch, spec.channels, width, keys[0])
        if config.image_connector:
            self.image_connector = ImageConnector(config, keys[1])
        if config.positions != "rope_only":
            self.pos_embed = FrozenTable(jnp.asarray(sinusoidal_table(width, self.grid, self.scale)))
        self.t_embedder = TimeEmbedder(width, keys[2]) if config.time_embedder else None
        self.final_layer = FinalLayer(config, patch * patch * spec.channels, keys[3])

    def set_size(self, height: int, width: int) -> None:
        """Changes the size of the latents, see `Backbone`.

        Rows and columns are scaled by 256 / sqrt(pixel height * pixel width), for a square the usual factor.
        """
        pixels = self.spec.resolution / math.sqrt(self.spec.height * self.spec.width)
        spec = replace(self.spec, height=height, width=width)
        self.config.check(spec)
        self.spec = spec
        self.grid = (height // self.config.patch_size, width // self.config.patch_size)
        self.scale = BASE_RESOLUTION / (pixels * math.sqrt(height * width))
        if self.config.positions != "rope_only":
            table = sinusoidal_table(self.config.hidden_width, self.grid, self.scale)
            self.pos_embed = FrozenTable(jnp.asarray(table))

    def prepare_text(
        self, tokens: Float[Array, "B L W"], mask: Bool[Array, "B L"]
    ) -> tuple[Float[Array, "B M W"], Bool[Array, "B M"], Float[Array, "B W"] | None]:
        """Returns tokens and mask, doubled along the tokens with `repeat_text`, and what `pooled` holds."""
        pooled = masked_mean(tokens, mask) if self.config.adaln in ("text", "time_and_text") else None
        if self.config.repeat_text:
            tokens, mask = jnp.concatenate([tokens, tokens], axis=1), jnp.concatenate([mask, mask], axis=1)
        return tokens, mask, pooled

    def patchify(self, latents: Float[Array, "B H W C"]) -> Float[Array, "B N D"]:
        """Turns latents (B, H, W, C) into image tokens (B, N, width) with positions."""
        x = self.x_embedder(latents)
        if self.config.image_connector:
            x = self.image_connector.connector(x, self.config.attention)
        if self.config.positions != "rope_only":
            x = x + self.pos_embed[...].astype(x.dtype)
        return x

    def modulation_vector(
        self, time: Float[Array, " B"], pooled: Float[Array, "B W"] | None
    ) -> Float[Array, "B W"] | None:
        """Returns the vector that modulates the blocks, (B, width) float32; None without AdaLN."""
        if self.config.adaln == "none":
            return None
        if self.config.adaln == "text":
            return pooled
        assert self.t_embedder is not None  # an `adaln` that reads the time has a time embedder
        embedded = self.t_embedder(time)
        return embedded if pooled is None else embedded + pooled

    def unpatchify(
        self, x: Float[Array, "B N D"], vector: Float[Array, "B D"] | None
    ) -> Float[Array, "B H W C"]:
        """Turns image tokens (B, N, width) into the prediction (B, H, W, C), float32."""
        patches = self.final_layer(x, vector)
        patch, (rows, columns) = self.config.patch_size, self.grid
        x = patches.reshape(-1, rows, columns, patch, patch, self.spec.channels)
        return jnp.swapaxes(x, 2, 3).reshape(-1, self.spec.height, self.spec.width, self.spec.channels)


def block_modulation(config: PatchTransformerConfig, key: Array) -> Modulation | None:
    """Returns the modulation of one block, or None without AdaLN."""
    if config.adaln == "none":
        return None
    return Modulation(config.hidden_width, 6 if config.adaln_shift else 4, key)


def masked_mean(tokens: Float[Array, "B L W"], mask: Bool[Array, "B L"]) -> Float[Array, "B W"]:
    """Returns the mean of tokens (B, L, W) over the valid ones, float32 (B, W).

    Zero for a row without any.
    """
    weights = mask.astype(jnp.float32)[:, :, None]
    total = jnp.sum(tokens.astype(jnp.float32) * weights, axis=1)
    return total / jnp.maximum(jnp.sum(weights, axis=1), 1)


class PatchEmbedder(nnx.Module):
    """A convolution whose stride equals its kernel size, computed as a matrix product over patches."""

    def __init__(self, patch: int, channels: int, width: int, key: Array) -> None:
        self.proj = PatchConvolution(patch, channels, width, key)
        self.patch = patch

    def __call__(self, latents: Float[Array, "B H W C"]) -> Float[Array, "B N D"]:
        """Maps (B, H, W, C) to (B, H W / patch^2, width), row-major."""
        batch, height, width, channels = latents.shape
        patch = self.patch
        x = latents.reshape(batch, height // patch, patch, width // patch, patch, channels)
        x = jnp.swapaxes(x, 2, 3).reshape(batch, -1, patch * patch * channels)
        kernel = self.proj.kernel[...]
        return affine(x, kernel.reshape(-1, kernel.shape[-1]), self.proj.bias[...])


class PatchConvolution(nnx.Module):
    """The parameters of the patch embedding: `kernel` (patch, patch, channels, width) and `bias`."""

    def __init__(self, patch: int, channels: int, width: int, key: Array) -> None:
        init = jax.nn.initializers.lecun_normal(in_axis=(0, 1, 2), out_axis=3)
        self.kernel = nnx.Param(init(key, (patch, patch, channels, width), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((width,), jnp.float32))


class ImageConnector(nnx.Module):
    """One connector block on image tokens."""

    def __init__(self, config: PatchTransformerConfig, key: Array) -> None:
        self.connector = Connector(
            1,
            config.hidden_width,
            config.num_heads,
            key,
            mlp_ratio=config.mlp_ratio,
            feed_forward=config.feed_forward,
            norm=config.norm,
            qk_norm=config.qk_norm,
        )


class FinalLayer(nnx.Module):
    """The final norm, its modulation with AdaLN, and the map to patches, in float32."""

    def __init__(self, config: PatchTransformerConfig, out_width: int, key: Array) -> None:
        key_linear, key_modulation = jax.random.split(key)
        width = config.hidden_width
        self.norm_final = make_norm(config.norm, width)
        self.linear = Linear(width, out_width, key_linear)
        if config.adaln != "none":
            self.adaLN_modulation = Modulation(width, 2, key_modulation)

    def __call__(self, x: Float[Array, "B N D"], vector: Float[Array, "B D"] | None) -> Float[Array, "B N P"]:
        """Maps tokens (B, N, width) to (B, N, out_width) float32."""
        x = self.norm_final(x.astype(jnp.float32))
        if vector is not None:
            x = BranchModulation(*self.adaLN_modulation(vector)).modulate(x)
        return self.linear(x)
