"""Moves arrays from files into JAX's memory one at a time, and reports the progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.reading import aligned

AnyArray = Array | np.ndarray | LazyArray
"""An array of JAX, of numpy, or in a file."""
Progress = Callable[[int, int], None]
"""Called after each array with the bytes read so far and the bytes in all, in the final dtypes."""
Placement = jax.sharding.Sharding | jax.Device | None
Sharding = Callable[[str, tuple[int, ...]], Placement]
"""Returns the `jax.sharding.Sharding` (or device, or None for the default one) of an array, given its path
joined by `/` and its shape.
"""


class ArrayReader:
    """Reads arrays to their devices; at most one array is held in memory besides them.

    Args:
        total: bytes of all arrays in their final dtypes.
        sharding: gives the sharding of each array; None is the default device.
        progress: called after each array.
    """

    def __init__(
        self, total: int, *, sharding: Sharding | None = None, progress: Progress | None = None
    ) -> None:
        self._total = total
        self._done = 0
        self._sharding = sharding
        self._progress = progress

    def read(self, path: str, array: AnyArray) -> Array:
        """Returns an array in its dtype; a `LazyArray` is read into the memory of the result itself.

        Args:
            path: the path of the array, passed to `sharding`.
            array: the array.
        """
        place = self._place(path, tuple(array.shape))
        if isinstance(array, jax.Array):
            self._tell(array)
            return array if place is None else jax.device_put(array, place)
        host = aligned(array.shape, array.dtype)
        self._fill(array, host)
        return jax.device_put(host, place, may_alias=True)

    def stack(self, path: str, layers: Sequence[AnyArray]) -> Array:
        """Returns arrays of one shape and dtype on a new first axis; arguments as for `read`.

        Layers are stacked on the host unless all of them are JAX arrays.
        """
        place = self._place(path, (len(layers), *layers[0].shape))
        if all(isinstance(layer, jax.Array) for layer in layers):
            for layer in layers:
                self._tell(layer)
            return jax.device_put(jnp.stack(layers), place)
        host = aligned((len(layers), *layers[0].shape), layers[0].dtype)
        for layer, out in zip(layers, host, strict=True):
            self._fill(layer, out)
        return jax.device_put(host, place, may_alias=True)

    def _place(self, path: str, shape: tuple[int, ...]) -> Placement:
        return None if self._sharding is None else self._sharding(path, shape)

    def _fill(self, array: AnyArray, out: np.ndarray) -> None:
        if isinstance(array, LazyArray):
            array.copy_to(out)
        else:
            out[...] = np.asarray(array)
        self._tell(out)

    def _tell(self, array: AnyArray) -> None:
        self._done += array.nbytes
        if self._progress is not None:
            self._progress(self._done, self._total)


def total_bytes(arrays: Iterable[AnyArray]) -> int:
    """Returns the bytes of arrays, lazy ones included."""
    return sum(array.size * array.dtype.itemsize for array in arrays)
