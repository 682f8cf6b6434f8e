"""Safetensors files, one or sharded, read tensor by tensor (bfloat16 included)."""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError

from i1_model.formats.lazy import LazyArray

_DTYPES = {
    "BF16": np.dtype(jnp.bfloat16),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
    "U8": np.dtype(np.uint8),
}


def safetensors_arrays(path: str | os.PathLike[str]) -> dict[str, LazyArray]:
    """Returns the arrays of a safetensors file.

    Args:
        path: the file, or the `*.index.json` of a sharded one.

    Raises:
        UserError: for a missing, truncated or foreign file, or a missing shard.
    """
    path = Path(path)
    if path.suffix != ".json":
        return _file_arrays(path)
    shards = read_json(path).get("weight_map")
    if not isinstance(shards, dict):
        raise UserError(f"{path} is not the index of a sharded safetensors file: it has no weight_map")
    arrays: dict[str, LazyArray] = {}
    for shard in sorted(set(shards.values())):
        arrays.update(_file_arrays(path.parent / Path(shard).name))
    if absent := sorted(shards.keys() - arrays.keys()):
        raise UserError(f"{path} lists arrays that its shards lack: {', '.join(absent)}")
    return arrays


def find_safetensors(folder: Path, stem: str) -> Path:
    """Returns `stem.safetensors` in a folder, or its index when it is sharded.

    Raises:
        UserError: when the folder holds neither.
    """
    names = (f"{stem}.safetensors", f"{stem}.safetensors.index.json")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} has no {names[0]} (nor {names[1]}): the folder is absent or incomplete")


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file.

    Raises:
        UserError: when it cannot be read or is no JSON object.
    """
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is truncated or not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a JSON object")
    return data


def _file_arrays(path: Path) -> dict[str, LazyArray]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > size:
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(length))
        return {
            name: _array(path, name, entry, 8 + length, size)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UserError:
        raise
    except (ValueError, struct.error, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is truncated or not a safetensors file ({error}): download or copy it again"
        ) from error


def _array(path: Path, name: str, entry: dict[str, Any], start: int, file_size: int) -> LazyArray:
    if entry["dtype"] not in _DTYPES:
        raise UserError(f"{path}: {name} is stored as {entry['dtype']}, this i1 reads {', '.join(_DTYPES)}")
    dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if end - begin != math.prod(shape) * dtype.itemsize or start + end > file_size:
        raise UserError(f"{path} is truncated or corrupted at {name}: download or copy it again")

    def read() -> np.ndarray:
        return np.fromfile(path, dtype, math.prod(shape), offset=start + begin).reshape(shape)

    return LazyArray(shape, dtype, read)
