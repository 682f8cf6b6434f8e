"""Pretrained weights from a local folder: safetensors, piece by piece into the target dtype."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError

INDEX_FILE = "model.safetensors.index.json"
WEIGHTS_FILE = "model.safetensors"
_DTYPES = {"F32": np.dtype(np.float32), "F16": np.dtype(np.float16), "BF16": np.dtype(jnp.bfloat16)}
_ALIGNMENT = 64
_PIECE = 2**23


@dataclass(frozen=True)
class Stored:
    """One parameter as it is stored.

    Attributes:
        name: the stored name without the folder's prefix; `{}` stands for the layer's number.
        shape: of one stored tensor.
        layers: how many layers are stacked on a new first axis; 0 for a parameter outside the layers.
        alternative: another name that holds the same tensor in some files.
    """

    name: str
    shape: tuple[int, ...]
    layers: int = 0
    alternative: str | None = None

    @property
    def stacked_shape(self) -> tuple[int, ...]:
        """Shape of the loaded array."""
        return (self.layers, *self.shape) if self.layers else self.shape

    def names(self) -> list[str]:
        """Returns the stored names in the order of the first axis."""
        return [self.name.format(i) for i in range(self.layers)] if self.layers else [self.name]


Layout = Mapping[str, "Stored | Layout"]
"""Nested dictionaries like the parameters, with `Stored` leaves; `embed` identifies the prefix."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: a file, the dtype and shape in it, and a range of bytes."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def shapes(layout: Layout, dtype: str) -> Any:
    """Returns the parameters' shapes as a tree of `jax.ShapeDtypeStruct`, without reading any file."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.stacked_shape, dtype), dict(layout))


def load_weights(
    folder: Path, layout: Layout, dtype: str, *, prefixes: Sequence[str] = ("",), ignored: str = r"(?!)"
) -> Any:
    """Reads the parameters of a layout.

    Besides the parameters themselves, no more than a piece of one tensor is held (8 Mi elements), and none
    when the stored dtype is the target's.

    Args:
        folder: holds `model.safetensors`, or `model.safetensors.index.json` and the shards it names.
        layout: what to read.
        dtype: of the loaded arrays, `"bfloat16"` or `"float32"`.
        prefixes: what released files put before the names; the first that fits is taken.
        ignored: regular expression of stored names that belong to other parts of the model.

    Returns:
        Nested dictionaries of arrays with the layout's structure.

    Raises:
        UserError: for an absent, truncated or foreign file, and for all names that are missing, unknown or of
            another shape, together.
    """
    tensors = find_tensors(folder)
    leaves: list[Stored] = jax.tree.leaves(dict(layout))
    embed = cast(Stored, layout["embed"])
    anchors = [name for name in (embed.name, embed.alternative) if name]
    prefix = next((p for p in prefixes if any(p + anchor in tensors for anchor in anchors)), prefixes[0])
    sources = {leaf: _sources(leaf, prefix, tensors) for leaf in leaves}
    _check(folder, sources, tensors, re.compile(ignored), prefix)
    return jax.tree.map(lambda leaf: _load(leaf, sources[leaf], tensors, np.dtype(dtype)), dict(layout))


def _sources(leaf: Stored, prefix: str, tensors: Mapping[str, StoredTensor]) -> list[str]:
    names = [prefix + name for name in leaf.names()]
    if leaf.alternative and names[0] not in tensors and prefix + leaf.alternative in tensors:
        return [prefix + leaf.alternative]
    return names


def _check(
    folder: Path,
    sources: Mapping[Stored, list[str]],
    tensors: Mapping[str, StoredTensor],
    ignored: re.Pattern[str],
    prefix: str,
) -> None:
    expected = {name: leaf.shape for leaf, names in sources.items() for name in names}
    known = set(expected) | {prefix + leaf.alternative for leaf in sources if leaf.alternative}
    known |= {prefix + leaf.name for leaf in sources}
    problems = [f"missing {name}" for name in sorted(set(expected) - set(tensors))]
    problems += [f"unknown {name}" for name in sorted(set(tensors) - known) if not ignored.fullmatch(name)]
    problems += [
        f"{name} has shape {tensors[name].shape} instead of {shape}"
        for name, shape in sorted(expected.items())
        if name in tensors and tensors[name].shape != shape
    ]
    problems += [
        f"{name} is stored as {tensors[name].dtype} instead of {', '.join(_DTYPES)}"
        for name in sorted(expected)
        if name in tensors and tensors[name].dtype not in _DTYPES
    ]
    if problems:
        raise UserError(f"{folder}: the weights do not fit the configuration: {', '.join(problems)}")


def _load(
    leaf: Stored, names: Sequence[str], tensors: Mapping[str, StoredTensor], dtype: np.dtype[Any]
) -> jax.Array:
    array = _aligned(leaf.stacked_shape, dtype)
    for part, name in zip(array if leaf.layers else [array], names, strict=True):
        _read(tensors[name], name, part)
    return jax.device_put(array, may_alias=True)


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    # JAX on CPU takes over memory with this alignment instead of copying it.
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _read(tensor: StoredTensor, name: str, out: np.ndarray) -> None:
    dtype = _DTYPES[tensor.dtype]
    flat = out.reshape(-1)
    try:
        with tensor.file.open("rb", buffering=0) as file:
            file.seek(tensor.start)
            for start in range(0, flat.size, _PIECE):
                part = flat[start : start + _PIECE]
                target = part if dtype == out.dtype else np.empty(part.shape, dtype)
                if not _fill(file, target.view(np.uint8).data):
                    raise UserError(f"{tensor.file} ends inside {name}: copy or download it again")
                if target is not part:
                    np.copyto(part, target, casting="unsafe")
    except OSError as error:
        raise UserError(f"cannot read {tensor.file}: {error.strerror}") from error


def _fill(file: FileIO, view: memoryview) -> bool:
    while view:
        count = file.readinto(view)
        if not count:
            return False
        view = view[count:]
    return True


def find_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Returns every tensor of a folder by name, from the headers alone.

    Args:
        folder: holds `model.safetensors`, or `model.safetensors.index.json` and the shards it names.

    Raises:
        UserError: when files are absent, truncated or of another format.
    """
    files = _files(folder)
    return {name: tensor for file in files for name, tensor in _header(file)}


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX_FILE
    if not index.is_file():
        if (folder / WEIGHTS_FILE).is_file():
            return [folder / WEIGHTS_FILE]
        raise UserError(
            f"{folder} has neither {WEIGHTS_FILE} nor {INDEX_FILE}: it is not a folder of weights"
        )
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise UserError(f"{index} has no weight_map: copy or download it again")
    names = sorted(set(weight_map.values()))
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise UserError(f"{folder} lacks {', '.join(absent)} that {INDEX_FILE} names: copy or download them")
    return [folder / name for name in names]


def _header(path: Path) -> Iterator[tuple[str, StoredTensor]]:
    broken = UserError(f"{path} is truncated or not a safetensors file: copy or download it again")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise broken
            header = json.loads(file.read(length))
        entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
        tensors = [
            (name, entry["dtype"], tuple(entry["shape"]), *map(int, entry["data_offsets"]))
            for name, entry in entries
        ]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise broken from error
    for name, dtype, shape, start, stop in tensors:
        start, stop = 8 + length + start, 8 + length + stop
        if stop > size or (dtype in _DTYPES and stop - start != math.prod(shape) * _DTYPES[dtype].itemsize):
            raise broken
        yield name, StoredTensor(path, dtype, shape, start, stop)


def read_json(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
        UserError: for an absent file or one that holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is truncated or not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} does not hold a JSON object")
    return data
