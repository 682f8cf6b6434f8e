"""The Qwen-Image autoencoder for single pictures, its weights read from a diffusers folder.

The published network is a causal one for videos. For a single frame, its convolutions over time see zeros
and then the frame, to which the last slice of their kernels applies, and the changes of frame rate have no
effect. A network for pictures remains, and only its parameters are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks import UserError
from jax import Array
from jaxtyping import Float

from i1_model.arrays.json_object import JsonObject
from i1_model.arrays.lazy import LazyArray
from i1_model.autoencoders.convolution import Conv
from i1_model.autoencoders.kl import LOGVAR_RANGE
from i1_model.autoencoders.pretrained import PretrainedAutoencoder
from i1_model.autoencoders.sizes import (
    LARGEST_DEPTH,
    LARGEST_LEVELS,
    LARGEST_WIDTH,
    check_range,
    read_sizes,
)
from i1_model.ops.attention import attention
from i1_model.ops.matmul import last_axis

_SMALLEST_NORM = 1e-12


@dataclass(frozen=True, kw_only=True)
class QwenImageAutoencoder(PretrainedAutoencoder):
    """Configuration of the Qwen-Image autoencoder: latents `(z - mean) / std`."""

    repository: ClassVar[str] = "Qwen/Qwen-Image"
    published: ClassVar[JsonObject] = {
        "base_dim": 96,
        "z_dim": 16,
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "latents_mean": [
            *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
            *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
        ],
        "latents_std": [
            *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
            *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
        ],
    }

    def network(self, data: JsonObject) -> QwenImageNetwork:
        """Returns the network of a `config.json`."""
        return QwenImageNetwork(sizes_from_json(data))

    @staticmethod
    def stored(arrays: Mapping[str, LazyArray]) -> dict[str, LazyArray]:
        """Returns the arrays for a single frame: the last slices in time, and none of the frame rate."""
        return {
            name.replace(".resample.1.", ".resample."): _of_one_frame(name, array)
            for name, array in arrays.items()
            if ".time_conv." not in name
        }


@dataclass(frozen=True, kw_only=True)
class QwenImageSizes:
    """The sizes in the `config.json` of an `AutoencoderKLQwenImage`.

    Attributes:
        base_dim: width of the finest level.
        z_dim: channels of the latents.
        dim_mult: width of every level as a multiple of `base_dim`, finest first.
        num_res_blocks: residual blocks per level; the decoder has one more.
        latents_mean: mean of every channel of the latents.
        latents_std: standard deviation of every channel of the latents.
    """

    base_dim: int
    z_dim: int
    dim_mult: tuple[int, ...]
    num_res_blocks: int
    latents_mean: tuple[float, ...]
    latents_std: tuple[float, ...]

    def __post_init__(self) -> None:
        check_range("the number of dim_mult", [len(self.dim_mult)], LARGEST_LEVELS)
        check_range("base_dim", [self.base_dim], LARGEST_WIDTH)
        check_range("dim_mult", self.dim_mult, LARGEST_WIDTH // self.base_dim)
        check_range("num_res_blocks", [self.num_res_blocks], LARGEST_DEPTH)
        check_range("z_dim", [self.z_dim], LARGEST_WIDTH)
        if self.base_dim % 2 or min(self.latents_std, default=1.0) <= 0:
            raise UserError("base_dim must be even, and every value of latents_std above 0")
        for name in ("latents_mean", "latents_std"):
            if len(getattr(self, name)) != self.z_dim:
                raise UserError(f"{name} has {len(getattr(self, name))} values for z_dim {self.z_dim}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of every level, finest first."""
        return tuple(self.base_dim * multiple for multiple in self.dim_mult)


class ChannelNorm(nnx.Module):
    """Each position divided by the root mean square of its channels, times `gamma`."""

    def __init__(self, width: int) -> None:
        self.gamma = nnx.Param(jnp.ones((width,), jnp.float32))

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Normalises (B, H, W, C)."""
        length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
        unit = x / jnp.maximum(length, _SMALLEST_NORM)
        return unit * (x.shape[-1] ** 0.5 * last_axis(self.gamma[...], 4))


class ResidualBlock(nnx.Module):
    """Two normalised 3x3 convolutions around a residual."""

    def __init__(self, in_width: int, out_width: int) -> None:
        self.norm1 = ChannelNorm(in_width)
        self.conv1 = Conv(in_width, out_width)
        self.norm2 = ChannelNorm(out_width)
        self.conv2 = Conv(out_width, out_width)
        if in_width != out_width:
            self.conv_shortcut = Conv(in_width, out_width, kernel=1)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W D"]:
        """Maps (B, H, W, in_width) to (B, H, W, out_width)."""
        y = self.conv1(jax.nn.silu(self.norm1(x)))
        y = self.conv2(jax.nn.silu(self.norm2(y)))
        return y + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Resample(nnx.Module):
    """Doubles the sides and halves the channels, or halves the sides."""

    def __init__(self, width: int, *, up: bool) -> None:
        self.resample = Conv(width, width // 2, resample="up") if up else Conv(width, width, resample="down")

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Maps (B, H, W, width) to (B, 2 H, 2 W, width / 2) or (B, H / 2, W / 2, width)."""
        return self.resample(x)


class PictureAttention(nnx.Module):
    """One-head self-attention over all positions, with a residual."""

    def __init__(self, width: int) -> None:
        self.norm = ChannelNorm(width)
        self.to_qkv = Conv(width, 3 * width, kernel=1)
        self.proj = Conv(width, width, kernel=1)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Maps (B, H, W, width) to the same shape."""
        batch, height, width, channels = x.shape
        tokens = self.to_qkv(self.norm(x)).reshape(batch, height * width, 1, 3 * channels)
        q, k, v = jnp.split(tokens, 3, axis=-1)
        y = attention(q, k, v)
        return x + self.proj(y.reshape(x.shape))


class Middle(nnx.Module):
    """Residual block, attention, residual block."""

    def __init__(self, width: int) -> None:
        self.resnets = nnx.List([ResidualBlock(width, width), ResidualBlock(width, width)])
        self.attentions = nnx.List([PictureAttention(width)])

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Maps (B, H, W, width) to the same shape."""
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Encoder(nnx.Module):
    """Images to the moments of the posterior."""

    def __init__(self, sizes: QwenImageSizes) -> None:
        widths = sizes.widths
        self.conv_in = Conv(3, sizes.base_dim)
        layers: list[nnx.Module] = []
        for level, (in_width, width) in enumerate(pairwise((sizes.base_dim, *widths))):
            layers += _residual_blocks(in_width, width, sizes.num_res_blocks)
            if level < len(widths) - 1:
                layers.append(Resample(width, up=False))
        self.down_blocks = nnx.List(layers)
        self.mid_block = Middle(widths[-1])
        self.norm_out = ChannelNorm(widths[-1])
        self.conv_out = Conv(widths[-1], 2 * sizes.z_dim)

    def __call__(self, images: Float[Array, "B H W 3"]) -> Float[Array, "B h w C"]:
        """Maps (B, H, W, 3) to (B, H/f, W/f, 2 C)."""
        x = _apply(self.down_blocks, self.conv_in(images))
        return self.conv_out(jax.nn.silu(self.norm_out(self.mid_block(x))))


class UpBlock(nnx.Module):
    """Residual blocks, then double the sides and half the channels unless it is the finest level."""

    def __init__(self, in_width: int, out_width: int, sizes: QwenImageSizes, *, last: bool) -> None:
        self.resnets = nnx.List(_residual_blocks(in_width, out_width, sizes.num_res_blocks + 1))
        self.upsamplers = nnx.List([] if last else [Resample(out_width, up=True)])

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Maps (B, H, W, in_width) to (B, 2 H, 2 W, out_width / 2)."""
        return _apply((*self.resnets, *self.upsamplers), x)


class Decoder(nnx.Module):
    """Latents to images."""

    def __init__(self, sizes: QwenImageSizes) -> None:
        widths = sizes.widths[::-1]
        in_widths = (widths[0], *(width // 2 for width in widths[:-1]))
        self.conv_in = Conv(sizes.z_dim, widths[0])
        self.mid_block = Middle(widths[0])
        self.up_blocks = nnx.List(
            UpBlock(in_width, width, sizes, last=level == len(widths) - 1)
            for level, (in_width, width) in enumerate(zip(in_widths, widths, strict=True))
        )
        self.norm_out = ChannelNorm(widths[-1])
        self.conv_out = Conv(widths[-1], 3)

    def __call__(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Maps (B, h, w, C) to (B, h f, w f, 3)."""
        x = _apply(self.up_blocks, self.mid_block(self.conv_in(latents)))
        return self.conv_out(jax.nn.silu(self.norm_out(x)))


class QwenImageNetwork(nnx.Module):
    """Encoder and decoder with the 1x1 convolutions between them; parameters start at zero, to be loaded."""

    def __init__(self, sizes: QwenImageSizes) -> None:
        self.channels = sizes.z_dim
        self.factor = 2 ** (len(sizes.dim_mult) - 1)
        self.mean = sizes.latents_mean
        self.deviation = sizes.latents_std
        self.encoder = Encoder(sizes)
        self.quant_conv = Conv(2 * sizes.z_dim, 2 * sizes.z_dim, kernel=1)
        self.post_quant_conv = Conv(sizes.z_dim, sizes.z_dim, kernel=1)
        self.decoder = Decoder(sizes)

    def posterior(
        self, images: Float[Array, "B H W 3"]
    ) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w C"]]:
        """Returns mean and log variance (B, H/f, W/f, C) of the latents of images (B, H, W, 3) in [-1, 1]."""
        mean, logvar = jnp.split(self.quant_conv(self.encoder(images)), 2, axis=-1)
        return mean, jnp.clip(logvar, *LOGVAR_RANGE)

    def decode(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Returns images (B, h f, w f, 3) of latents (B, h, w, C) as the encoder's, not normalised."""
        return self.decoder(self.post_quant_conv(latents))

    def normalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """Maps the encoder's latents to those of the denoiser."""
        return (latents - _channels(self.mean)) / _channels(self.deviation)

    def denormalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """Maps the denoiser's latents to those of the decoder."""
        return latents * _channels(self.deviation) + _channels(self.mean)


def sizes_from_json(data: JsonObject) -> QwenImageSizes:
    """Returns the sizes in a diffusers `config.json`.

    Raises:
        UserError: for another architecture, or attention outside the middle.
    """
    absent = [name for name in QwenImageSizes.__dataclass_fields__ if name not in data]
    if absent:
        raise UserError(f"lacks {', '.join(absent)}: it is not an AutoencoderKLQwenImage")
    return read_sizes(QwenImageSizes, data, {"attn_scales": [], "input_channels": 3})


def _residual_blocks(in_width: int, width: int, number: int) -> list[nnx.Module]:
    return [ResidualBlock(i, o) for i, o in pairwise((in_width, *[width] * number))]


def _apply(layers: Sequence[Callable[[Array], Array]], x: Array) -> Array:
    for layer in layers:
        x = layer(x)
    return x


def _channels(values: tuple[float, ...]) -> Array:
    return last_axis(jnp.asarray(values, jnp.float32), 4)


def _of_one_frame(name: str, array: LazyArray) -> LazyArray:
    if name.endswith(".gamma"):
        return _part(array, array.shape[:1], lambda values: values.reshape(-1))
    if len(array.shape) == 5:
        return _part(array, array.shape[:2] + array.shape[3:], lambda values: values[:, :, -1])
    return array


def _part(array: LazyArray, shape: tuple[int, ...], choose: Callable[[np.ndarray], np.ndarray]) -> LazyArray:
    def fill(out: np.ndarray) -> None:
        out[...] = choose(np.asarray(array, out.dtype))

    return LazyArray(shape, array.dtype, array.stored, fill, name=array.name)
