"""Pretrained weights from a local folder: safetensors, piece by piece into the target dtype."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jax
from i1_hooks import UserError

from i1_model.arrays.dtypes import is_weight
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.loading import ArrayReader, Progress, Sharding, total_bytes
from i1_model.arrays.safetensors import find_safetensors, safetensors_arrays


@dataclass(frozen=True)
class Stored:
    """One parameter as it is stored.

    Attributes:
        name: the stored name without the folder's prefix; `{}` stands for the layer's number.
        shape: shape of one stored tensor.
        layers: number of layers that are stacked on a new first axis; 0 for a parameter outside the layers.
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


def shapes(layout: Layout, dtype: str) -> Any:
    """Returns the parameters' shapes as a tree of `jax.ShapeDtypeStruct`, without reading any file."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.stacked_shape, dtype), dict(layout))


def load_weights(
    folder: Path,
    layout: Layout,
    dtype: str,
    *,
    prefixes: Sequence[str] = ("",),
    ignored: str = r"(?!)",
    sharding: Sharding | None = None,
    progress: Progress | None = None,
) -> Any:
    """Reads the parameters of a layout.

    Besides the parameters themselves, no more than a piece of one tensor is held (1 Mi elements), and none
    when the stored dtype is the target's.

    Args:
        folder: holds `model.safetensors`, or `model.safetensors.index.json` and the shards it names.
        layout: what to read.
        dtype: dtype of the loaded arrays, `"bfloat16"` or `"float32"`.
        prefixes: what released files put before the names; the first that fits is taken.
        ignored: regular expression of stored names that belong to other parts of the model.
        sharding: where each array goes; its path is that in the layout.
        progress: receives how many bytes are read.

    Returns:
        Nested dictionaries of arrays with the layout's structure.

    Raises:
        UserError: for an absent, truncated or foreign file, and for all names that are missing, unknown or of
            another shape, together.
    """
    sources, tensors = _find(folder, layout, prefixes, ignored)
    read = {name: tensors[name].astype(dtype) for names in sources.values() for name in names}
    reader = ArrayReader(total_bytes(read.values()), sharding=sharding, progress=progress)

    def load(path: tuple[Any, ...], leaf: Stored) -> jax.Array:
        place = "/".join(str(key.key) for key in path)
        arrays = [read[name] for name in sources[leaf]]
        return reader.stack(place, arrays) if leaf.layers else reader.read(place, arrays[0])

    return jax.tree_util.tree_map_with_path(load, dict(layout))


def check_weights(
    folder: Path, layout: Layout, *, prefixes: Sequence[str] = ("",), ignored: str = r"(?!)"
) -> None:
    """Checks that a folder holds the parameters of a layout, from the headers alone.

    Args:
        folder: as for `load_weights`.
        layout: as for `load_weights`.
        prefixes: as for `load_weights`.
        ignored: as for `load_weights`.

    Raises:
        UserError: as `load_weights`.
    """
    _find(folder, layout, prefixes, ignored)


def _find(
    folder: Path, layout: Layout, prefixes: Sequence[str], ignored: str
) -> tuple[dict[Stored, list[str]], dict[str, LazyArray]]:
    """Returns the stored names of every leaf, and the folder's tensors."""
    tensors = find_tensors(folder)
    leaves: list[Stored] = jax.tree.leaves(dict(layout))
    embed = cast(Stored, layout["embed"])
    anchors = [name for name in (embed.name, embed.alternative) if name]
    prefix = next((p for p in prefixes if any(p + anchor in tensors for anchor in anchors)), prefixes[0])
    sources = {leaf: _sources(leaf, prefix, tensors) for leaf in leaves}
    _check(folder, sources, tensors, re.compile(ignored), prefix)
    return sources, tensors


def _sources(leaf: Stored, prefix: str, tensors: Mapping[str, LazyArray]) -> list[str]:
    names = [prefix + name for name in leaf.names()]
    if leaf.alternative and names[0] not in tensors and prefix + leaf.alternative in tensors:
        return [prefix + leaf.alternative]
    return names


def _check(
    folder: Path,
    sources: Mapping[Stored, list[str]],
    tensors: Mapping[str, LazyArray],
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
        f"{name} is stored as {tensors[name].stored}, not as floating-point numbers"
        for name in sorted(expected)
        if name in tensors and not is_weight(tensors[name].stored)
    ]
    if problems:
        raise UserError(f"{folder}: the weights do not fit the configuration: {', '.join(problems)}")


def find_tensors(folder: Path) -> dict[str, LazyArray]:
    """Returns every tensor of a folder by name, from the headers alone.

    Args:
        folder: holds `model.safetensors`, or `model.safetensors.index.json` and the shards it names.

    Raises:
        UserError: when files are absent, truncated or of another format.
    """
    return safetensors_arrays(find_safetensors(folder, "model"))
