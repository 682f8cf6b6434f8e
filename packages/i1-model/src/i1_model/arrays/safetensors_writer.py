"""Safetensors files written array by array, one or in shards with the usual index."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import BinaryIO

import numpy as np
from i1_hooks import UserError

from i1_model.arrays.dtypes import SAFETENSORS_DTYPES
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.safetensors import METADATA

SHARD_BYTES = 5_000_000_000
_CODES = {dtype: code for code, dtype in SAFETENSORS_DTYPES.items()}

Written = Callable[[int], None]
"""Called after each array with its number of bytes."""


def write_safetensors(
    file: BinaryIO,
    arrays: Mapping[str, LazyArray],
    metadata: Mapping[str, str],
    written: Written | None = None,
) -> None:
    """Writes one file; no more than one array is in memory.

    Args:
        file: an empty file.
        arrays: by name, written in their dtypes, the widest first and otherwise in this order.
        metadata: strings for the header.
        written: called after each array with its bytes.

    Raises:
        UserError: for a number that is not finite, or an array of a dtype that the format lacks.
    """
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize))
    header: dict[str, object] = {METADATA: dict(metadata)}
    start = 0
    for name, array in arrays.items():
        if array.dtype not in _CODES:
            raise UserError(
                f"{name} is {array.dtype}, safetensors files hold {', '.join(SAFETENSORS_DTYPES)}"
            )
        end = start + array.nbytes
        shape = list(array.shape)
        header[name] = {"dtype": _CODES[array.dtype], "shape": shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for array in arrays.values():
        file.write(raw_bytes(array))
        if written is not None:
            written(array.nbytes)


def split_shards(
    stem: str, arrays: Mapping[str, LazyArray], *, shard_bytes: int = SHARD_BYTES
) -> tuple[dict[str, dict[str, LazyArray]], str | None]:
    """Returns the arrays of each file of a sharded model, and the text of its index.

    Args:
        stem: beginning of the file names: `stem.safetensors`, or `stem-00001-of-0000N.safetensors`.
        arrays: by name.
        shard_bytes: the most bytes of arrays in a file, unless a single array is larger.

    Returns:
        The arrays by file name, and the content of `stem.safetensors.index.json`, None for a single file.
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
        return {f"{stem}.safetensors": shards[0]}, None
    files = {
        f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors": shard
        for number, shard in enumerate(shards, start=1)
    }
    places = {name: file for file, shard in files.items() for name in shard}
    total = sum(array.nbytes for array in arrays.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    return files, json.dumps(index, indent=2) + "\n"


def raw_bytes(array: LazyArray) -> memoryview:
    """Returns the bytes of an array in C order, little-endian."""
    values = np.ascontiguousarray(np.asarray(array)).reshape(-1)
    return values.view(np.uint8).data
