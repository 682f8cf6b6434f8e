"""Files that `torch.load(weights_only=True)` reads, written array by array and without PyTorch.

Such a file is a zip archive: the pickle `data.pkl` describes containers and tensors, and every tensor's bytes
are an entry `data/N`. The pickle is assembled from opcodes, because the `pickle` module can only name
functions that it can import. https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.safetensors_writer import Written, raw_bytes

_ROOT = "archive"
_ALIGNMENT = 64
_LOCAL_HEADER = 30
"""Bytes before the name of an entry."""
_PADDING_ID = b"FB"
_STORAGES = {
    "bfloat16": "BFloat16Storage",
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
}


def write_torch(
    file: BinaryIO,
    values: Mapping[str, Any],
    state: Mapping[str, LazyArray],
    key: str,
    written: Written | None = None,
) -> None:
    """Writes `{**values, key: state}`; no more than one array is in memory.

    Args:
        file: an empty file.
        values: plain containers, numbers and strings.
        state: tensors by name, floating-point.
        key: the name of the state in what is saved.
        written: called after each array with its bytes.
    """
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        _add(archive, "data.pkl", _pickled(values, state, key))
        _add(archive, ".format_version", b"1")
        _add(archive, ".storage_alignment", str(_ALIGNMENT).encode())
        _add(archive, "byteorder", b"little")
        for number, array in enumerate(state.values()):
            _add(archive, f"data/{number}", raw_bytes(array))
            if written is not None:
                written(array.nbytes)
        _add(archive, "version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    """Adds an entry whose bytes start at a multiple of the alignment, so that they can be mapped."""
    info = zipfile.ZipInfo(f"{_ROOT}/{name}")
    assert archive.fp is not None
    position = archive.fp.tell() + _LOCAL_HEADER + len(info.filename.encode()) + 4
    padding = -position % _ALIGNMENT
    info.extra = _PADDING_ID + padding.to_bytes(2, "little") + b"\0" * padding
    with archive.open(info, "w") as entry:
        entry.write(data)


def _pickled(values: Mapping[str, Any], state: Mapping[str, LazyArray], key: str) -> bytes:
    parts = [pickle.PROTO, b"\x02", pickle.EMPTY_DICT]
    for name, value in values.items():
        parts += [_plain(name), _plain(value), pickle.SETITEM]
    parts += [_plain(key), pickle.EMPTY_DICT]
    for number, (name, array) in enumerate(state.items()):
        parts += [_plain(name), *_tensor(number, array), pickle.SETITEM]
    return b"".join([*parts, pickle.SETITEM, pickle.STOP])


def _plain(value: Any) -> bytes:
    """Returns the opcodes of a value without the frame around them."""
    return pickle.dumps(value, protocol=2)[2:-1]


def _tensor(number: int, array: LazyArray) -> list[bytes]:
    return [
        _name("torch._utils", "_rebuild_tensor_v2"),
        pickle.MARK,
        pickle.MARK,
        _plain("storage"),
        _name("torch", _STORAGES[array.dtype.name]),
        _plain(str(number)),
        _plain("cpu"),
        _plain(array.size),
        pickle.TUPLE,
        pickle.BINPERSID,
        _plain(0),
        _plain(array.shape),
        _plain(array.strides),
        _plain(False),
        _name("collections", "OrderedDict"),
        pickle.EMPTY_TUPLE,
        pickle.REDUCE,
        pickle.TUPLE,
        pickle.REDUCE,
    ]


def _name(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()
