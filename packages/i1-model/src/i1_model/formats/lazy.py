"""An array in a file: shape and dtype now, the values when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LazyArray:
    """An array that `np.asarray` reads.

    Attributes:
        shape: its shape.
        dtype: its dtype, as returned.
        read: returns the array as stored, any dtype.
        axes: order of the stored axes in the returned array; None keeps it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], np.ndarray]
    axes: tuple[int, ...] | None = None

    def transpose(self, axes: tuple[int, ...]) -> LazyArray:
        """Returns the array with the stored axes in this order."""
        stored = (
            self.shape if self.axes is None else [self.shape[self.axes.index(i)] for i in range(len(axes))]
        )
        return replace(self, shape=tuple(stored[axis] for axis in axes), axes=axes)

    def astype(self, dtype: Any) -> LazyArray:
        """Returns the array in another dtype, rounded to nearest when read."""
        return replace(self, dtype=np.dtype(dtype))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads the values."""
        del copy
        array = self.read()
        if self.axes is not None:
            array = array.transpose(self.axes)
        return array.astype(self.dtype if dtype is None else dtype, copy=False)
