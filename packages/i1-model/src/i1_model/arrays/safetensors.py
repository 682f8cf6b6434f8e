"""Safetensors files, one or sharded, read tensor by tensor (bfloat16 included).

Headers are accepted as strictly as by the library `safetensors`: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from i1_hooks import UserError
from i1_hooks.text import one_line

from i1_model.arrays import reading
from i1_model.arrays.dtypes import SAFETENSORS_DTYPES
from i1_model.arrays.json_object import read_json
from i1_model.arrays.lazy import LazyArray

METADATA = "__metadata__"
LARGEST_HEADER = 100_000_000
"""Bytes of a header, as in the library."""
_LARGEST_RANK = 32
_SHARD = re.compile(r"[^/\\\0]+\.safetensors")


@dataclass(frozen=True)
class SafetensorsFile:
    """What the header of a file says.

    Attributes:
        arrays: the arrays by name, to be read.
        metadata: the strings in the header.
    """

    arrays: dict[str, LazyArray]
    metadata: dict[str, str]


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
        return open_safetensors(path).arrays
    shards = read_json(path).get("weight_map")
    if not isinstance(shards, dict) or not all(
        isinstance(name, str) and _SHARD.fullmatch(name) for name in shards.values()
    ):
        raise UserError(
            f"{path} is not the index of a sharded safetensors file: it has no weight_map of files"
        )
    files = [path.parent / shard for shard in sorted(set(shards.values()))]
    if absent := [file.name for file in files if not file.is_file()]:
        raise UserError(
            f"{path.parent} lacks {', '.join(absent)} that {path.name} names: copy or download them"
        )
    arrays: dict[str, LazyArray] = {}
    for file in files:
        found = open_safetensors(file).arrays
        if twice := sorted(found.keys() & arrays.keys()):
            raise UserError(f"{file} holds {twice[0]}, as another file of {path.name} does: copy them again")
        arrays.update(found)
    if missing := sorted(shards.keys() - arrays.keys()):
        raise UserError(f"{path} lists arrays that its shards lack: {', '.join(missing)}")
    return arrays


def open_safetensors(path: Path) -> SafetensorsFile:
    """Reads the header of one file.

    Raises:
        UserError: for a missing, truncated or foreign file, or a size that is not the header's.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise ValueError("the header is longer than the file")
            if length > LARGEST_HEADER:
                raise ValueError(f"a header of {length:,} bytes")
            header = json.loads(file.read(length).decode(), object_pairs_hook=_without_repetition)
        return _parse(path, header, 8 + length, size)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or one_line(error)}") from error
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is truncated or not a safetensors file ({one_line(error)}): download or copy it again"
        ) from error


def find_safetensors(folder: Path, stem: str) -> Path:
    """Returns `stem.safetensors` in a folder, or its index when it is sharded.

    Raises:
        UserError: when there is neither.
    """
    names = (f"{stem}.safetensors", f"{stem}.safetensors.index.json")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} has no {names[0]} (nor {names[1]}): the folder is absent or incomplete")


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in the header")
    for name in found:
        name.encode()  # half a character is a ValueError
    return found


def _parse(path: Path, header: object, start: int, file_size: int) -> SafetensorsFile:
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    metadata = header.pop(METADATA, None)
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError(f"{METADATA} does not map strings to strings")
    places = {name: _place(path, name, entry) for name, entry in header.items()}
    end = 0
    for name, place in sorted(places.items(), key=lambda item: (item[1].begin, item[1].end)):
        if place.begin != end:
            raise ValueError(f"{name} does not begin where the array before it ends")
        end = place.end
    if start + end > file_size:
        cut = next(name for name, place in places.items() if start + place.end > file_size)
        raise UserError(f"{path} is truncated or corrupted at {cut}: download or copy it again")
    if start + end != file_size:
        raise UserError(f"{path} has {file_size} bytes instead of {start + end}: download or copy it again")
    arrays = {name: _array(path, name, place, start) for name, place in places.items()}
    return SafetensorsFile(arrays, metadata)


@dataclass(frozen=True)
class _Place:
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


def _place(path: Path, name: str, entry: object) -> _Place:
    """Returns where an array stands, as its entry in the header says."""
    if not isinstance(entry, Mapping) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} has no dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in SAFETENSORS_DTYPES:
        choices = ", ".join(SAFETENSORS_DTYPES)
        raise UserError(f"{path}: {name} is stored as {one_line(code)}, this i1 reads {choices}")
    if not _are_sizes(shape) or len(shape) > _LARGEST_RANK:
        raise ValueError(f"the shape of {name} is not a list of sizes")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"data_offsets of {name} are not two positions")
    dtype = SAFETENSORS_DTYPES[code]
    if offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
        raise UserError(f"{path} is truncated or corrupted at {name}: download or copy it again")
    return _Place(dtype, tuple(shape), *offsets)


def _are_sizes(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _array(path: Path, name: str, place: _Place, start: int) -> LazyArray:
    def fill(out: np.ndarray) -> None:
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start + place.begin)
                if not reading.fill(file, place.dtype, out):
                    raise UserError(f"{path} ends inside {name}: download or copy it again")
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or one_line(error)}") from error

    return LazyArray(place.shape, place.dtype, place.dtype, fill, name=f"{path}: {name}")
