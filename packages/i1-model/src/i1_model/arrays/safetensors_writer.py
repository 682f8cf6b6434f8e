"""Safetensors files written array by array, one or in shards with the usual index."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from i1_model.arrays.dtypes import SAFETENSORS_DTYPES
from i1_model.arrays.lazy import LazyArray

SHARD_BYTES = 5_000_000_000
_CODES = {dtype: code for code, dtype in SAFETENSORS_DTYPES.items()}

Written = Callable[[int], None]
"""Called after every array with its bytes."""


def write_safetensors(
    path: Path, arrays: Mapping[str, LazyArray], metadata: Mapping[str, str], written: Written
) -> None:
    """Writes one file; no more than one array is in memory.

    Args:
        path: the file.
        arrays: by name, written in their dtypes and in this order.
        metadata: texts of the header.
        written: told the progress.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    start = 0
    for name, array in arrays.items():
        end = start + array.nbytes
        shape = list(array.shape)
        header[name] = {"dtype": _CODES[array.dtype], "shape": shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(raw_bytes(array))
            written(array.nbytes)


def write_sharded(
    folder: Path,
    stem: str,
    arrays: Mapping[str, LazyArray],
    metadata: Mapping[str, str],
    written: Written,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Writes `stem.safetensors`, or `stem-00001-of-0000N.safetensors` and their index when it is larger.

    Args:
        folder: an existing folder.
        stem: of the file names.
        arrays: as for `write_safetensors`.
        metadata: likewise.
        written: likewise.
        shard_bytes: a file holds no more bytes of arrays, unless a single one is larger.
    """
    shards: list[dict[str, LazyArray]] = [{}]
    size = 0
    for name, array in arrays.items():
        if shards[-1] and size + array.nbytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = array
        size += array.nbytes
    if len(shards) == 1:
        write_safetensors(folder / f"{stem}.safetensors", arrays, metadata, written)
        return
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / file, shard, metadata, written)
        places.update(dict.fromkeys(shard, file))
    total = sum(array.nbytes for array in arrays.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def raw_bytes(array: LazyArray) -> memoryview:
    """Returns the bytes of an array in C order, little-endian."""
    values = np.ascontiguousarray(np.asarray(array)).reshape(-1)
    return values.view(np.uint8).data
