"""Safetensors files, one or sharded, read tensor by tensor (bfloat16 included)."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from i1_hooks import UserError

from i1_model.arrays import reading
from i1_model.arrays.dtypes import SAFETENSORS_DTYPES
from i1_model.arrays.lazy import LazyArray

_METADATA = "__metadata__"


def safetensors_arrays(path: str | os.PathLike[str]) -> dict[str, LazyArray]:
    """Returns the arrays of a safetensors file, from the headers alone.

    Args:
        path: the file, or the `*.index.json` of a sharded one.

    Raises:
        UserError: for a missing, truncated or foreign file, a size that is not the header's, or a missing
            shard.
    """
    path = Path(path)
    if path.suffix != ".json":
        return _file_arrays(path)
    shards = read_json(path).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise UserError(f"{path} is not the index of a sharded safetensors file: it has no weight_map")
    files = [path.parent / Path(shard).name for shard in sorted(set(shards.values()))]
    if absent := [file.name for file in files if not file.is_file()]:
        raise UserError(
            f"{path.parent} lacks {', '.join(absent)} that {path.name} names: copy or download them"
        )
    arrays = {name: array for file in files for name, array in _file_arrays(file).items()}
    if missing := sorted(shards.keys() - arrays.keys()):
        raise UserError(f"{path} lists arrays that its shards lack: {', '.join(missing)}")
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
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is truncated or not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a JSON object")
    return data


def _file_arrays(path: Path) -> dict[str, LazyArray]:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(length))
        entries = {name: entry for name, entry in header.items() if name != _METADATA}
        start = 8 + length
        arrays = {name: _array(path, name, entry, start, size) for name, entry in entries.items()}
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UserError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is truncated or not a safetensors file ({error}): download or copy it again"
        ) from error
    if start + end != size:
        raise UserError(f"{path} has {size} bytes instead of {start + end}: download or copy it again")
    return arrays


def _array(path: Path, name: str, entry: dict[str, Any], start: int, file_size: int) -> LazyArray:
    if entry["dtype"] not in SAFETENSORS_DTYPES:
        choices = ", ".join(SAFETENSORS_DTYPES)
        raise UserError(f"{path}: {name} is stored as {entry['dtype']}, this i1 reads {choices}")
    dtype, shape = SAFETENSORS_DTYPES[entry["dtype"]], tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if end - begin != math.prod(shape) * dtype.itemsize or start + end > file_size:
        raise UserError(f"{path} is truncated or corrupted at {name}: download or copy it again")

    def fill(out: np.ndarray) -> None:
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start + begin)
                if not reading.fill(file, dtype, out):
                    raise UserError(f"{path} ends inside {name}: download or copy it again")
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error

    return LazyArray(shape, dtype, dtype, fill)
