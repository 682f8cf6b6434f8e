"""The network of the FLUX autoencoders: diffusers' `AutoencoderKL`, with its parameter names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from jax import Array
from jaxtyping import Float

from i1_model.arrays.json_object import JsonObject
from i1_model.autoencoders.convolution import (
    AttentionBlock,
    Conv,
    GroupNorm,
    Resampling,
    ResnetBlock,
    normed_conv,
)
from i1_model.autoencoders.sizes import (
    LARGEST_DEPTH,
    LARGEST_LEVELS,
    LARGEST_WIDTH,
    check_range,
    read_sizes,
)

LOGVAR_RANGE = (-30.0, 20.0)


@dataclass(frozen=True, kw_only=True)
class KLSizes:
    """The sizes in the `config.json` of an `AutoencoderKL`; the defaults are FLUX.2's.

    Attributes:
        block_out_channels: width of every level, finest first.
        decoder_block_out_channels: the decoder's, where they differ.
        layers_per_block: residual blocks per level; the decoder has one more.
        latent_channels: channels of the latents.
        norm_num_groups: groups of every norm.
        use_quant_conv: whether a 1x1 convolution follows the encoder.
        use_post_quant_conv: whether a 1x1 convolution precedes the decoder.
        mid_block_add_attention: whether the middle has attention.
    """

    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    decoder_block_out_channels: tuple[int, ...] | None = None
    layers_per_block: int = 2
    latent_channels: int = 32
    norm_num_groups: int = 32
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True

    def __post_init__(self) -> None:
        widths = (*self.block_out_channels, *(self.decoder_block_out_channels or ()))
        check_range("the number of block_out_channels", [len(self.block_out_channels)], LARGEST_LEVELS)
        check_range("block_out_channels", widths, LARGEST_WIDTH)
        check_range("layers_per_block", [self.layers_per_block], LARGEST_DEPTH)
        check_range("latent_channels", [self.latent_channels], LARGEST_WIDTH)
        check_range("norm_num_groups", [self.norm_num_groups], LARGEST_WIDTH)
        if len(self.decoder_block_out_channels or self.block_out_channels) != len(self.block_out_channels):
            raise UserError("decoder_block_out_channels and block_out_channels have different lengths")
        if any(width % self.norm_num_groups for width in widths):
            raise UserError(f"norm_num_groups {self.norm_num_groups} does not divide all of {widths}")

    @property
    def factor(self) -> int:
        """Pixels per latent position along each side."""
        return 2 ** (len(self.block_out_channels) - 1)


class DownBlock(nnx.Module):
    """Residual blocks, then half the sides unless it is the coarsest level."""

    def __init__(self, in_width: int, out_width: int, sizes: KLSizes, *, last: bool) -> None:
        self.resnets = _resnets(in_width, out_width, sizes.layers_per_block, sizes)
        self.downsamplers = nnx.List([] if last else [_Resampler(out_width, "down")])

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Maps (B, H, W, in_width) to (B, H/2, W/2, out_width)."""
        for layer in (*self.resnets, *self.downsamplers):
            x = layer(x)
        return x


class UpBlock(nnx.Module):
    """Residual blocks, then double the sides unless it is the finest level."""

    def __init__(self, in_width: int, out_width: int, sizes: KLSizes, *, last: bool) -> None:
        self.resnets = _resnets(in_width, out_width, sizes.layers_per_block + 1, sizes)
        self.upsamplers = nnx.List([] if last else [_Resampler(out_width, "up")])

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Maps (B, H, W, in_width) to (B, 2H, 2W, out_width)."""
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x


class MidBlock(nnx.Module):
    """Residual block, attention, residual block."""

    def __init__(self, width: int, sizes: KLSizes) -> None:
        self.resnets = _resnets(width, width, 2, sizes)
        attends = sizes.mid_block_add_attention
        self.attentions = nnx.List([AttentionBlock(width, sizes.norm_num_groups)] if attends else [])

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Maps (B, H, W, width) to the same shape."""
        for layer in (self.resnets[0], *self.attentions, self.resnets[1]):
            x = layer(x)
        return x


class Encoder(nnx.Module):
    """Images to the moments of the posterior."""

    def __init__(self, sizes: KLSizes) -> None:
        widths = sizes.block_out_channels
        self.conv_in = Conv(3, widths[0])
        self.down_blocks = nnx.List(_levels(DownBlock, (widths[0], *widths), sizes))
        self.mid_block = MidBlock(widths[-1], sizes)
        self.conv_norm_out = GroupNorm(widths[-1], sizes.norm_num_groups)
        self.conv_out = Conv(widths[-1], 2 * sizes.latent_channels)

    def __call__(self, images: Float[Array, "B H W 3"]) -> Float[Array, "B h w C"]:
        """Maps (B, H, W, 3) to (B, H/f, W/f, 2 C)."""
        x = self.conv_in(images)
        for block in self.down_blocks:
            x = block(x)
        return normed_conv(self.conv_norm_out, self.conv_out, self.mid_block(x))


class Decoder(nnx.Module):
    """Latents to images."""

    def __init__(self, sizes: KLSizes) -> None:
        widths = (sizes.decoder_block_out_channels or sizes.block_out_channels)[::-1]
        self.conv_in = Conv(sizes.latent_channels, widths[0])
        self.mid_block = MidBlock(widths[0], sizes)
        self.up_blocks = nnx.List(_levels(UpBlock, (widths[0], *widths), sizes))
        self.conv_norm_out = GroupNorm(widths[-1], sizes.norm_num_groups)
        self.conv_out = Conv(widths[-1], 3)

    def __call__(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Maps (B, h, w, C) to (B, h f, w f, 3)."""
        x = self.mid_block(self.conv_in(latents))
        for block in self.up_blocks:
            x = block(x)
        return normed_conv(self.conv_norm_out, self.conv_out, x)


class AutoencoderKL(nnx.Module):
    """Encoder and decoder with the 1x1 convolutions between them; parameters start at zero, to be loaded."""

    def __init__(self, sizes: KLSizes) -> None:
        self.channels = channels = sizes.latent_channels
        self.factor = sizes.factor
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)
        if sizes.use_quant_conv:
            self.quant_conv = Conv(2 * channels, 2 * channels, kernel=1)
        if sizes.use_post_quant_conv:
            self.post_quant_conv = Conv(channels, channels, kernel=1)

    def posterior(
        self, images: Float[Array, "B H W 3"]
    ) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w C"]]:
        """Returns mean and log variance (B, H/f, W/f, C) of the latents of images (B, H, W, 3) in [-1, 1]."""
        moments = self.encoder(images)
        if hasattr(self, "quant_conv"):
            moments = self.quant_conv(moments)
        mean, logvar = jnp.split(moments, 2, axis=-1)
        return mean, jnp.clip(logvar, *LOGVAR_RANGE)

    def decode(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Returns images (B, h f, w f, 3) of latents (B, h, w, C) as the encoder's, not normalised."""
        if hasattr(self, "post_quant_conv"):
            latents = self.post_quant_conv(latents)
        return self.decoder(latents)


def sizes_from_json(data: JsonObject) -> KLSizes:
    """Returns the sizes in a diffusers `config.json`.

    Raises:
        UserError: for an architecture other than plain residual blocks with SiLU on RGB, or a size out of
            range.
    """
    sizes = read_sizes(KLSizes, data, {"in_channels": 3, "out_channels": 3, "act_fn": "silu"})
    levels = len(sizes.block_out_channels)
    blocks = {
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }
    return read_sizes(KLSizes, data, blocks)


class _Resampler(nnx.Module):
    def __init__(self, width: int, direction: Resampling) -> None:
        self.conv = Conv(width, width, resample=direction)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        return self.conv(x)


def _resnets(in_width: int, out_width: int, number: int, sizes: KLSizes) -> nnx.List[ResnetBlock]:
    widths = [in_width, *[out_width] * number]
    return nnx.List([ResnetBlock(i, o, sizes.norm_num_groups) for i, o in pairwise(widths)])


def _levels(block: Callable[..., nnx.Module], widths: Sequence[int], sizes: KLSizes) -> list[nnx.Module]:
    pairs = list(pairwise(widths))
    return [block(i, o, sizes, last=level == len(pairs) - 1) for level, (i, o) in enumerate(pairs)]
