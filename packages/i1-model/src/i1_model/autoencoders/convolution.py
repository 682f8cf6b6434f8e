"""The layers of convolutional autoencoders: attribute names are diffusers', arrays are NHWC and HWIO.

A large picture is convolved in strips of rows, each normalised on the way in: the values are those of the
whole, while the memory beside input and output is that of a strip.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from i1_model.attention import attention
from i1_model.layers.linear import affine, last_axis

STRIP_SIZE = 2**18
"""Positions (rows times columns) that one convolution handles at a time."""
_EPSILON = 1e-6

Resampling = Literal["none", "up", "down"]


class Dense(nnx.Module):
    """`x W + b` over the last axis; `weight` is (in, out)."""

    def __init__(self, in_width: int, out_width: int) -> None:
        self.weight = nnx.Param(jnp.zeros((in_width, out_width), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))

    def __call__(self, x: Array) -> Array:
        """Maps (..., in_width) to (..., out_width)."""
        return affine(x, self.weight[...], self.bias[...])


class GroupNorm(nnx.Module):
    """Normalisation over positions and the channels of a group, statistics in float32, eps 1e-6."""

    def __init__(self, width: int, groups: int) -> None:
        self.groups = groups
        self.weight = nnx.Param(jnp.ones((width,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((width,), jnp.float32))

    def fit(self, x: Array) -> Callable[[Array], Array]:
        """Returns the affine map that normalises `x` (B, H, W, C); it applies to any part of `x` too."""
        batch, height, width, channels = x.shape
        grouped = x.reshape(batch, height, width, self.groups, channels // self.groups)
        mean = grouped.mean((1, 2, 4), keepdims=True)
        rstd = jax.lax.rsqrt(jnp.square(grouped - mean).mean((1, 2, 4), keepdims=True) + _EPSILON)
        per_channel = (batch, 1, 1, self.groups, channels // self.groups)
        scale = jnp.broadcast_to(rstd, per_channel).reshape(batch, 1, 1, channels)
        centre = jnp.broadcast_to(mean, per_channel).reshape(batch, 1, 1, channels)
        weight, bias = last_axis(self.weight[...], 4), last_axis(self.bias[...], 4)
        return lambda part: (part - centre) * (scale * weight) + bias


class Conv(nnx.Module):
    """A convolution with a square kernel of 1 or 3; `weight` is (row, column, in, out).

    Args:
        in_width: channels in.
        out_width: channels out.
        kernel: side of the kernel.
        resample: `"up"` doubles the sides first, by repetition; `"down"` halves them, with the padding of one
            row and column at the end alone.
        strip_size: positions handled at a time.
    """

    def __init__(
        self,
        in_width: int,
        out_width: int,
        kernel: int = 3,
        *,
        resample: Resampling = "none",
        strip_size: int = STRIP_SIZE,
    ) -> None:
        self.weight = nnx.Param(jnp.zeros((kernel, kernel, in_width, out_width), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))
        self.kernel = kernel
        self.resample: Resampling = resample
        self.strip_size = strip_size

    def __call__(self, x: Array, before: Callable[[Array], Array] = lambda part: part) -> Array:
        """Convolves with zero padding.

        Args:
            x: (B, H, W, C).
            before: applied to every position first.
        """
        height = x.shape[1]
        above, below = (0, 1) if self.resample == "down" else (self.kernel // 2, self.kernel // 2)
        num_strips = self._num_strips(height, x.shape[2])
        if num_strips == 1:
            return self._rows(jnp.pad(before(x), ((0, 0), (above, below), (0, 0), (0, 0))))
        rows = height // num_strips

        def strip(first: Array) -> Array:
            index = first - above + jnp.arange(rows + above + below)
            inside = (index >= 0) & (index < height)
            part = before(jnp.take(x, index, axis=1, mode="clip"))
            return self._rows(jnp.where(inside[None, :, None, None], part, 0))

        strips = jax.lax.map(strip, jnp.arange(num_strips) * rows)
        _, batch, rows_out, *rest = strips.shape
        return strips.swapaxes(0, 1).reshape(batch, num_strips * rows_out, *rest)

    def _rows(self, part: Array) -> Array:
        """Convolves rows that come with the neighbours they need."""
        side = self.kernel // 2
        if self.resample == "up":
            part = jnp.repeat(jnp.repeat(part, 2, axis=1), 2, axis=2)[:, 1:-1]
        down = self.resample == "down"
        y = jax.lax.conv_general_dilated(
            part,
            self.weight[...].astype(part.dtype),
            window_strides=(2, 2) if down else (1, 1),
            padding=((0, 0), (0, 1) if down else (side, side)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + last_axis(self.bias[...].astype(y.dtype), 4)

    def _num_strips(self, height: int, width: int) -> int:
        """Returns the smallest number of equal strips that are no larger than allowed, or of single rows."""
        unit = 2 if self.resample == "down" else 1
        scale = 4 if self.resample == "up" else 1
        for number in range(1, height // unit + 1):
            if height % (number * unit) == 0 and height // number * width * scale <= self.strip_size:
                return number
        return max(1, height // unit) if height % unit == 0 else 1


class ResnetBlock(nnx.Module):
    """Two normalised 3x3 convolutions around a residual."""

    def __init__(self, in_width: int, out_width: int, groups: int, strip_size: int) -> None:
        self.norm1 = GroupNorm(in_width, groups)
        self.conv1 = Conv(in_width, out_width, strip_size=strip_size)
        self.norm2 = GroupNorm(out_width, groups)
        self.conv2 = Conv(out_width, out_width, strip_size=strip_size)
        if in_width != out_width:
            self.conv_shortcut = Conv(in_width, out_width, kernel=1, strip_size=strip_size)

    def __call__(self, x: Array) -> Array:
        """Maps (B, H, W, in_width) to (B, H, W, out_width)."""
        y = normed_conv(self.norm1, self.conv1, x)
        y = normed_conv(self.norm2, self.conv2, y)
        return y + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class AttentionBlock(nnx.Module):
    """One-head self-attention over all positions, with a residual."""

    def __init__(self, width: int, groups: int) -> None:
        self.group_norm = GroupNorm(width, groups)
        self.to_q = Dense(width, width)
        self.to_k = Dense(width, width)
        self.to_v = Dense(width, width)
        self.to_out = nnx.List([Dense(width, width)])

    def __call__(self, x: Array) -> Array:
        """Maps (B, H, W, width) to the same shape."""
        batch, height, width, channels = x.shape
        tokens = self.group_norm.fit(x)(x).reshape(batch, height * width, 1, channels)
        y = attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        return x + self.to_out[0](y).reshape(x.shape)


def normed_conv(norm: GroupNorm, conv: Conv, x: Array) -> Array:
    """Returns `conv(silu(norm(x)))`; x (B, H, W, C)."""
    normalise = norm.fit(x)
    return conv(x, lambda part: jax.nn.silu(normalise(part)))
