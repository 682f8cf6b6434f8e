"""The zip files of `torch.save`, read without PyTorch and without running the code that a pickle may name.

Such a file holds a pickle, `*/data.pkl`, and one entry of raw bytes per storage. A pickle may name any
class or function; only those that describe tensors are allowed here, and any other name is an error.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError

from i1_model.arrays.archive import Archive
from i1_model.arrays.lazy import LazyArray, contiguous_strides

_PICKLE = "/data.pkl"
_LARGEST_PICKLE, _LARGEST_ORDER = 2**28, 2**10
_LARGEST_RANK = 32
_STORAGES = {
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "BoolStorage": np.dtype(np.bool_),
    "ByteStorage": np.dtype(np.uint8),
    "CharStorage": np.dtype(np.int8),
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "IntStorage": np.dtype(np.int32),
    "LongStorage": np.dtype(np.int64),
    "ShortStorage": np.dtype(np.int16),
}
_BAD_PICKLE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def is_torch_zip(archive: Archive) -> bool:
    """Tells whether `torch.save` wrote the archive."""
    return any(name.endswith(_PICKLE) for name in archive.names)


def read_torch_zip(archive: Archive) -> Any:
    """Returns what was saved, with a `LazyArray` for every tensor.

    Args:
        archive: the open file.

    Raises:
        UserError: for pickled code, a damaged file, or one of the other byte order.
    """
    names = [name for name in archive.names if name.endswith(_PICKLE)]
    if len(names) != 1:
        archive.damaged(f"it has {len(names)} entries {_PICKLE[1:]}")
    root = names[0].removesuffix(_PICKLE)
    order = f"{root}/byteorder"
    if order in archive.names and archive.read(order, _LARGEST_ORDER) != b"little":
        raise UserError(f"{archive.path} is big-endian: save it again on a little-endian machine")
    try:
        return _Unpickler(archive, root, archive.read(names[0], _LARGEST_PICKLE)).load()
    except UserError:
        raise
    except _BAD_PICKLE as error:
        archive.damaged(error)


@dataclass(frozen=True, slots=True)
class _StorageType:
    """A dtype that pickled instructions cannot change."""

    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class _Storage:
    entry: str
    dtype: np.dtype
    size: int


class _Unpickler(pickle.Unpickler):
    """Unpickles plain containers and tensors only."""

    def __init__(self, archive: Archive, root: str, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self._archive = archive
        self._root = root

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module_name == "torch" and global_name in _STORAGES:
            return _StorageType(_STORAGES[global_name])
        if (module_name, global_name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: self._tensor(storage, offset, shape, stride)
        if (module_name, global_name) == ("torch._utils", "_rebuild_parameter"):
            return lambda data, *_: data
        raise UserError(
            f"{self._archive.path} holds pickled code ({module_name}.{global_name}), which is never loaded: "
            "save it again with tensors and plain containers only"
        )

    def persistent_load(self, pid: tuple[object, ...], /) -> _Storage:
        kind, type_, key, _, size = pid
        if kind != "storage" or not isinstance(type_, _StorageType) or type(size) is not int:
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        entry = f"{self._root}/data/{key}"
        if entry not in self._archive.names or self._archive.size(entry) < size * type_.dtype.itemsize:
            raise pickle.UnpicklingError(f"storage {key} is missing or too short")
        return _Storage(entry, type_.dtype, size)

    def _tensor(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> LazyArray:
        numbers = (offset, *shape, *stride)
        if not isinstance(storage, _Storage) or len(shape) > _LARGEST_RANK:
            raise pickle.UnpicklingError("a tensor without a storage, or of too many axes")
        if any(type(number) is not int for number in numbers) or min(numbers) < 0:
            raise pickle.UnpicklingError("the shape of a tensor does not consist of sizes")
        last = sum(step * (size - 1) for step, size in zip(stride, shape, strict=True))
        if math.prod(shape) > storage.size or (math.prod(shape) and offset + last >= storage.size):
            raise pickle.UnpicklingError(f"a tensor reaches outside its storage {storage.entry}")

        def fill(out: np.ndarray) -> None:
            if offset == 0 and tuple(stride) == contiguous_strides(tuple(shape)):
                self._archive.fill(storage.entry, storage.dtype, out)
                return
            flat = np.empty(storage.size, storage.dtype)
            self._archive.fill(storage.entry, storage.dtype, flat)
            strides = [step * storage.dtype.itemsize for step in stride]
            view = np.lib.stride_tricks.as_strided(flat[offset:], shape, strides, writeable=False)
            np.copyto(out, view, casting="unsafe")

        name = f"{self._archive.path}: {storage.entry}"
        return LazyArray(tuple(shape), storage.dtype, storage.dtype, fill, name=name)
