"""The layers of convolutional autoencoders: attribute names are diffusers', arrays are NHWC and HWIO."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from i1_model.layers.linear import affine
from i1_model.ops.attention import attention
from i1_model.ops.matmul import last_axis

_EPSILON = 1e-6

Resampling = Literal["none", "up", "down"]


class Dense(nnx.Module):
    """`x W + b` over the last axis; `weight` is (in, out)."""

    def __init__(self, in_width: int, out_width: int) -> None:
        self.weight = nnx.Param(jnp.zeros((in_width, out_width), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))

    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... D"]:
        """Maps (..., in_width) to (..., out_width)."""
        return affine(x, self.weight[...], self.bias[...])


class GroupNorm(nnx.Module):
    """Normalisation over positions and the channels of a group, statistics in float32, eps 1e-6."""

    def __init__(self, width: int, groups: int) -> None:
        self.groups = groups
        self.weight = nnx.Param(jnp.ones((width,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((width,), jnp.float32))

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Normalises (B, H, W, C)."""
        batch, height, width, channels = x.shape
        grouped = x.reshape(batch, height, width, self.groups, channels // self.groups)
        centred = grouped - grouped.mean((1, 2, 4), keepdims=True)
        rstd = jax.lax.rsqrt(jnp.square(centred).mean((1, 2, 4), keepdims=True) + _EPSILON)
        y = (centred * rstd).reshape(x.shape)
        return y * last_axis(self.weight[...], 4) + last_axis(self.bias[...], 4)


class Conv(nnx.Module):
    """A convolution with a square kernel of 1 or 3; `weight` is (row, column, in, out).

    Args:
        in_width: channels in.
        out_width: channels out.
        kernel: side of the kernel.
        resample: `"up"` doubles the sides first, by repetition; `"down"` halves them, with the padding of one
            row and column at the end alone.
    """

    def __init__(
        self,
        in_width: int,
        out_width: int,
        kernel: int = 3,
        *,
        resample: Resampling = "none",
    ) -> None:
        self.weight = nnx.Param(jnp.zeros((kernel, kernel, in_width, out_width), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((out_width,), jnp.float32))
        self.kernel = kernel
        self.resample: Resampling = resample

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Convolves (B, H, W, C) with zero padding."""
        side = self.kernel // 2
        if self.resample == "up":
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        down = self.resample == "down"
        y = jax.lax.conv_general_dilated(
            x,
            self.weight[...].astype(x.dtype),
            window_strides=(2, 2) if down else (1, 1),
            padding=((0, 1), (0, 1)) if down else ((side, side), (side, side)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + last_axis(self.bias[...].astype(y.dtype), 4)


class ResnetBlock(nnx.Module):
    """Two normalised 3x3 convolutions around a residual."""

    def __init__(self, in_width: int, out_width: int, groups: int) -> None:
        self.norm1 = GroupNorm(in_width, groups)
        self.conv1 = Conv(in_width, out_width)
        self.norm2 = GroupNorm(out_width, groups)
        self.conv2 = Conv(out_width, out_width)
        if in_width != out_width:
            self.conv_shortcut = Conv(in_width, out_width, kernel=1)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W D"]:
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

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Maps (B, H, W, width) to the same shape."""
        batch, height, width, channels = x.shape
        tokens = self.group_norm(x).reshape(batch, height * width, 1, channels)
        y = attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        return x + self.to_out[0](y).reshape(x.shape)


def normed_conv(norm: GroupNorm, conv: Conv, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
    """Returns `conv(silu(norm(x)))`; x (B, H, W, C)."""
    return conv(jax.nn.silu(norm(x)))
