"""The one check that stored, merged and written numbers are finite."""

from __future__ import annotations

import numpy as np
from i1_hooks import UserError

_EXPONENTS = {2: (np.uint16, 0x7F80), 4: (np.uint32, 0x7F800000), 8: (np.uint64, 0x7FF << 52)}
"""By bytes of a number: an integer type of that size, and the bits set in numbers that are not finite."""
_HALF_EXPONENT = 0x7C00
_PIECE = 2**18
"""Numbers examined at a time; they fit into the cache of a processor."""


def check_finite(values: np.ndarray, name: str) -> None:
    """Checks that all numbers of an array are finite; an array of integers always passes.

    No option turns this off: a single NaN or infinity spreads to everything that a network computes. To
    examine such a file, read it with `numpy.load` or the library `safetensors`.

    Args:
        values: the array.
        name: the file and key, for messages.

    Raises:
        UserError: naming the array, how many of its numbers are not finite, and the first of them.
    """
    if not is_finite(values):
        with np.errstate(invalid="ignore"):  # some NaNs warn when they are converted
            wide = values.astype(np.float64).reshape(-1)
        wrong = np.flatnonzero(~np.isfinite(wide))
        raise UserError(
            f"{name}: {len(wrong):,} of {wide.size:,} numbers are not finite, the first is "
            f"{wide[wrong[0]]}; its training diverged or the file is damaged: use an earlier checkpoint or "
            "another copy"
        )


def is_finite(values: np.ndarray) -> bool:
    """Tells whether all numbers of an array are finite, at about the speed of memory.

    The bits of the exponents are compared, because `numpy.isfinite` is slow for bfloat16.
    """
    if not _is_float(values.dtype):
        return True
    integer, mask = _EXPONENTS[values.dtype.itemsize]
    if values.dtype == np.float16:
        mask = _HALF_EXPONENT
    exponent = integer(mask)
    flat = np.ascontiguousarray(values).reshape(-1).view(integer)
    return all(
        (flat[start : start + _PIECE] & exponent).max() != exponent for start in range(0, flat.size, _PIECE)
    )


def _is_float(dtype: np.dtype) -> bool:
    return dtype.isnative and dtype.name in ("float64", "float32", "float16", "bfloat16")
