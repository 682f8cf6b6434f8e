"""Reads bytes of a file into an array of another dtype, without a second array of that size."""

from __future__ import annotations

import math
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

PIECE = 2**20
"""Elements converted at a time."""
_ALIGNMENT = 64


def fill(file: IO[bytes], stored: np.dtype, out: np.ndarray) -> bool:
    """Reads an array from the current position of a file; only one piece of another dtype is held in memory.

    Args:
        file: the file, at the first byte; unbuffered is fastest.
        stored: the dtype in the file.
        out: the array to fill, in C order; numbers are rounded to nearest.

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


def _read(file: IO[bytes], view: memoryview) -> bool:
    while view:
        count = file.readinto(view)
        if not count:
            return False
        view = view[count:]
    return True


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Returns an uninitialised array whose memory JAX on CPU takes over instead of copying it.

    Pass it on by `jax.device_put(array, may_alias=True)` and do not write to it afterwards.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
