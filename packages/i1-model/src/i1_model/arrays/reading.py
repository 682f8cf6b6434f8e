"""Bytes of a file into an array of another dtype, without a second array of that size."""

from __future__ import annotations

import math
from typing import IO, Any

import numpy as np

PIECE = 2**20
"""Elements that are converted at a time."""
_ALIGNMENT = 64


def fill(file: IO[bytes], stored: np.dtype[Any], out: np.ndarray) -> bool:
    """Reads an array from a file's position on; a piece is the only memory beside it, none for equal dtypes.

    Args:
        file: at the first byte; buffering only costs time.
        stored: dtype in the file.
        out: filled in C order, rounded to nearest.

    Returns:
        False when the file ends first.
    """
    flat = out.reshape(-1)
    for start in range(0, flat.size, PIECE):
        part = flat[start : start + PIECE]
        target = part if stored == out.dtype else np.empty(part.shape, stored)
        if not _read(file, target.view(np.uint8).data):
            return False
        if target is not part:
            np.copyto(part, target, casting="unsafe")
    return True


def _read(file: Any, view: memoryview) -> bool:
    while view:
        count = file.readinto(view)
        if not count:
            return False
        view = view[count:]
    return True


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Returns an array without values whose memory JAX on CPU takes over instead of copying it.

    Pass it on by `jax.device_put(array, may_alias=True)` and do not write to it afterwards.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
