"""A frozen kernel in few bits, read like any other."""

from __future__ import annotations

from typing import Any, Literal

import jax
from flax import nnx
from i1_hooks import UserError
from jax import Array

QuantizationName = Literal["none", "int8", "int4", "nf4"]
TILE = 32
"""Rows of a kernel that share a scale, where that divides them; otherwise all rows do."""


class QuantizedKernel(nnx.Module):
    """A kernel stored as integer codes and scales; `kernel[...]` is its value, as of an `nnx.Param`.

    Quantised by qwix: symmetric, one scale per column and `TILE` rows.

    Args:
        kernel: (in, out), with any leading layer axes; its dtype is that of the scales and of the value.
        name: `"int8"`, `"int4"`, or `"nf4"` (the 4-bit code for normal weights of arXiv 2305.14314).

    Raises:
        UserError: when qwix is not installed.
    """

    def __init__(self, kernel: Array, name: QuantizationName) -> None:
        array = quantize(kernel, name)
        self.name = name
        self.codes = nnx.Variable(array.qvalue)
        self.scales = nnx.Variable(array.scale)

    def __getitem__(self, index: Any) -> Array:
        """Returns the kernel, or a part of it."""
        qwix = _qwix()
        return qwix.dequantize(qwix.QArray(self.codes[...], self.scales[...], qtype=self.name))[index]


def quantize(kernel: Array, name: QuantizationName) -> Any:
    """Returns a kernel (..., in, out) as a `qwix.QArray`.

    Raises:
        UserError: when qwix is not installed.
    """
    rows = kernel.ndim - 2
    others = tuple(axis for axis in range(kernel.ndim) if axis != rows)
    tiles = {rows: TILE} if kernel.shape[rows] % TILE == 0 else {}
    qwix = _qwix()
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return qwix.quantize(kernel, name, channelwise_axes=others, tiled_axes=tiles)


def _qwix() -> Any:
    try:
        import qwix
    except ImportError as error:
        raise UserError(
            "a quantised base needs qwix: pip install 'i1-model[quantized]', or set lora.quantization=none"
        ) from error
    return qwix
