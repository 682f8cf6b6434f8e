"""The `.npz` training checkpoints: one entry per array, named by its path."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError

from i1_model.arrays.archive import Archive
from i1_model.arrays.lazy import LazyArray

_SUFFIX = ".npy"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}
_LARGEST_RANK = 32


def npz_arrays(archive: Archive, prefix: str) -> dict[str, LazyArray]:
    """Returns the arrays whose names begin with a prefix, by the rest of their names; only headers are read.

    Arrays that numpy stored as two bytes without a type (`|V2`) are bfloat16.

    Args:
        archive: an open file.
        prefix: the prefix, for example `"params_ema/"`.

    Raises:
        UserError: for a damaged header, or an array of Python objects.
    """
    entries = sorted(name for name in archive.names if name.startswith(prefix) and name.endswith(_SUFFIX))
    return {name[len(prefix) : -len(_SUFFIX)]: _array(archive, name) for name in entries}


def _array(archive: Archive, name: str) -> LazyArray:
    with archive.open(name) as file:
        shape, fortran, stored = _HEADERS[np.lib.format.read_magic(file)](file)
        start = file.tell()
    if stored.hasobject:
        raise UserError(f"{archive.path}: entry {name} holds pickled objects, which are never loaded")
    if len(shape) > _LARGEST_RANK or min(shape, default=0) < 0 or not stored.itemsize or stored.subdtype:
        archive.damaged(f"entry {name} has shape {shape} and dtype {stored}")
    if archive.size(name) != start + math.prod(shape) * stored.itemsize:
        archive.damaged(f"entry {name} has the wrong size")
    dtype = np.dtype(jnp.bfloat16) if stored == np.dtype("V2") else stored

    def fill(out: np.ndarray) -> None:
        archive.fill(name, dtype, out, skip=start)

    title = f"{archive.path}: {name.removesuffix(_SUFFIX)}"
    if not fortran:
        return LazyArray(shape, dtype, dtype, fill, name=title)
    reversed_axes = tuple(range(len(shape)))[::-1]
    return LazyArray(shape[::-1], dtype, dtype, fill, name=title).transpose(reversed_axes)
