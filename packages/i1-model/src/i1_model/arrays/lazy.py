"""An array in a file: shape and dtype now, the values when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from i1_model.arrays.finite import check_finite


@dataclass(frozen=True, slots=True)
class LazyArray:
    """An array that is read on demand, by `copy_to` or `np.asarray`, and checked to be finite.

    Attributes:
        shape: the shape of the returned array.
        dtype: the dtype of the returned array.
        stored: the dtype in the file.
        fill: reads the file into a C-contiguous array of the stored shape and any dtype.
        axes: the order of the stored axes in the returned array; None keeps it.
        name: the file and key, for messages.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    stored: np.dtype
    fill: Callable[[np.ndarray], None]
    axes: tuple[int, ...] | None = None
    name: str = "an array in memory"

    @classmethod
    def of(cls, array: np.ndarray, name: str = "an array in memory") -> LazyArray:
        """Wraps an array in memory."""

        def fill(out: np.ndarray) -> None:
            np.copyto(out, array, casting="unsafe")

        return cls(array.shape, array.dtype, array.dtype, fill, name=name)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the returned array."""
        return self.size * self.dtype.itemsize

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in the file."""
        if self.axes is None:
            return self.shape
        return tuple(self.shape[self.axes.index(i)] for i in range(len(self.axes)))

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides, in elements, of the array in C order."""
        return contiguous_strides(self.shape)

    def transpose(self, axes: tuple[int, ...]) -> LazyArray:
        """Returns the array with its axes in this order."""
        before = self.axes or tuple(range(len(self.shape)))
        shape = tuple(self.shape[axis] for axis in axes)
        return replace(self, shape=shape, axes=tuple(before[axis] for axis in axes))

    def astype(self, dtype: DTypeLike) -> LazyArray:
        """Returns the array in another dtype, rounded to nearest when read."""
        return replace(self, dtype=np.dtype(dtype))

    def copy_to(self, out: np.ndarray) -> None:
        """Reads the values into an array of the same shape and any dtype.

        Raises:
            UserError: for a damaged file, or a number that is not finite in the dtype of `out`.
        """
        if self.axes in (None, tuple(range(len(self.shape)))) and out.flags.c_contiguous:
            self._fill(out)
            return
        stored = np.empty(self.stored_shape, out.dtype)
        self._fill(stored)
        out[...] = stored if self.axes is None else stored.transpose(self.axes)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Reads the values; errors as for `copy_to`."""
        del copy
        array = np.empty(self.stored_shape, self.dtype if dtype is None else dtype)
        self._fill(array)
        return array if self.axes is None else array.transpose(self.axes)

    def _fill(self, out: np.ndarray) -> None:
        with np.errstate(over="ignore"):  # what overflows is not finite, and named below
            self.fill(out)
        check_finite(out, self.name)


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the strides, in elements, of an array in C order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
