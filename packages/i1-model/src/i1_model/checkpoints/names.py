"""The released parameter names, and their mapping to the stacked parameters of this package.

A released name is the path of a parameter joined by `/`, with these changes:

* `backbone/` is dropped;
* `adapters/I/X/...` is `text_encoder_adapter/X/...` and `null_captions/I` is
  `text_encoder_adapter/learnable_null_caption`, with the suffix `_I` on X when there are several text
  encoders;
* a `BlockStack` called `blocks` becomes one block per layer, `blocks_0/...`, `blocks_1/...`;
* a `Connector` called `connector` becomes `connector_norm1`, `connector_attn`, `connector_norm2`,
  `connector_mlp`, `connector_norm3`, `connector_attn2`, and so on.

Plugins that follow none of these patterns get their plain paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx
from jax import Array
from jaxtyping import PyTree

from i1_model.arrays.loading import ArrayReader, Progress, Sharding, total_bytes
from i1_model.arrays.trees import check_shapes, flatten
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.layers.positions import FrozenTable

_ADAPTER = re.compile(r"adapters/(\d+)/([^/]+)(.*)")
_NULL = re.compile(r"null_captions/(\d+)")
_CONNECTOR = re.compile(r"(.*/)?connector/stacked/(norm1|norm2|attn|mlp)/(.*)")
_STACK = re.compile(r"(.+)/(stacked|stacked_in|middle|stacked_out|final)/(.*)")


def to_released(params: PyTree) -> dict[str, Array]:
    """Returns every array under its released name, blocks unstacked, sorted by name.

    Args:
        params: the state of a denoiser as `nnx.split` returns it, or nested dicts; arrays or shape structs.
            Any tree of the same structure works, for example gradients or an average.
    """
    flat = flatten(params)
    arrays: dict[str, Array] = {}
    for path, names in released_names(flat).items():
        if isinstance(names, str):
            arrays[names] = flat[path]
        else:
            arrays.update((name, _layer(flat[path], index)) for index, name in enumerate(names))
    return dict(sorted(arrays.items()))


def from_released(
    config: ModelConfig,
    arrays: Mapping[str, Any],
    *,
    sharding: Sharding | None = None,
    progress: Progress | None = None,
) -> nnx.State:
    """Returns the parameters of a denoiser from arrays under released names; the inverse of `to_released`.

    Frozen tables depend on the resolution alone and are recomputed; stored ones are not read.

    Args:
        config: the model.
        arrays: one array per released name; they keep their dtypes. A `LazyArray` is read into the memory
            of the parameter itself, one at a time.
        sharding: gives the sharding of each parameter.
        progress: called after each array.

    Raises:
        UserError: listing all names that are missing, unknown or of another shape.
    """
    trained, given = _fitting(config, arrays)
    expected = flatten(trained)
    reader = ArrayReader(total_bytes(given.values()), sharding=sharding, progress=progress)

    def load(path: str, names: str | list[str]) -> Array:
        if isinstance(names, str):
            return reader.read(path, given[names])
        return reader.stack(path, [given[name] for name in names])

    loaded = [load(path, names) for path, names in released_names(expected).items()]
    frozen = jax.jit(lambda: _split(config)[0])()
    return nnx.merge_state(frozen, jax.tree.unflatten(jax.tree.structure(trained), loaded))


def check_fit(config: ModelConfig, arrays: Mapping[str, Any]) -> None:
    """Checks that arrays under released names are those of a model, without reading any.

    Raises:
        UserError: as `from_released`.
    """
    _fitting(config, arrays)


def _fitting(config: ModelConfig, arrays: Mapping[str, Any]) -> tuple[nnx.State, dict[str, Any]]:
    """Returns the shapes of the trained parameters, and their arrays without frozen tables."""
    frozen, trained = jax.eval_shape(lambda: _split(config))
    not_read = set(released_names(flatten(frozen)).values())
    given = {name: array for name, array in arrays.items() if name not in not_read}
    expected = flatten(trained)
    check_shapes(_shapes(expected, released_names(expected)), given)
    return trained, given


def _split(config: ModelConfig) -> tuple[nnx.State, nnx.State]:
    """Returns the frozen tables and the trained parameters of a fresh denoiser."""
    _, frozen, trained = nnx.split(init_denoiser(config, jax.random.key(0)), FrozenTable, ...)
    return frozen, trained


def released_names(flat: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Returns the released name of every path, or one name per layer where the array is stacked.

    Args:
        flat: arrays or shape structs by path, as `flatten` returns them.
    """
    num_encoders = sum(1 for path in flat if _NULL.fullmatch(path))
    lengths: dict[str, dict[str, int]] = {}
    for path, leaf in flat.items():
        if match := _STACK.fullmatch(path):
            length = leaf.shape[0] if match[2].startswith("stacked") else 1
            lengths.setdefault(match[1], {})[match[2]] = length
    lengths = {stack: parts for stack, parts in lengths.items() if _is_stack(stack, flat)}
    names: dict[str, str | list[str]] = {}
    for path, leaf in flat.items():
        if match := _CONNECTOR.fullmatch(path):
            prefix, part, rest = match[1] or "", match[2], match[3]
            layers = [f"{prefix}{_connector_part(part, i)}/{rest}" for i in range(leaf.shape[0])]
            names[path] = [_outer_name(name, num_encoders) for name in layers]
        elif (match := _STACK.fullmatch(path)) and match[1] in lengths:
            first, count = _layers_of(match[2], lengths[match[1]])
            layers = [_outer_name(f"{match[1]}_{first + i}/{match[3]}", num_encoders) for i in range(count)]
            names[path] = layers if match[2].startswith("stacked") else layers[0]
        else:
            names[path] = _outer_name(path, num_encoders)
    return names


def _layers_of(part: str, lengths: Mapping[str, int]) -> tuple[int, int]:
    """Returns the first layer and the number of layers that a part of a `BlockStack` holds."""
    order = ("stacked", "stacked_in", "middle", "stacked_out", "final")
    return sum(lengths.get(earlier, 0) for earlier in order[: order.index(part)]), lengths[part]


def _is_stack(path: str, flat: Mapping[str, Any]) -> bool:
    """Tells whether all that is below a path belongs to the parts of a `BlockStack`."""
    below = [other for other in flat if other.startswith(path + "/")]
    parts = {other.removeprefix(path + "/").split("/")[0] for other in below}
    return "final" in parts and parts <= {"stacked", "stacked_in", "middle", "stacked_out", "final"}


def _connector_part(part: str, layer: int) -> str:
    if part.startswith("norm"):
        return f"connector_norm{2 * layer + int(part.removeprefix('norm'))}"
    return f"connector_{part}{layer + 1 if layer else ''}"


def _outer_name(path: str, num_encoders: int) -> str:
    """Returns the released name of a path whose stacks are already resolved."""
    if match := _ADAPTER.fullmatch(path):
        suffix = f"_{match[1]}" if num_encoders > 1 else ""
        return f"text_encoder_adapter/{match[2]}{suffix}{match[3]}"
    if match := _NULL.fullmatch(path):
        suffix = f"_{match[1]}" if num_encoders > 1 else ""
        return f"text_encoder_adapter/learnable_null_caption{suffix}"
    return path.removeprefix("backbone/")


def _layer(stacked: Any, index: int) -> Any:
    if isinstance(stacked, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(stacked.shape[1:], stacked.dtype)
    return stacked[index]


def _shapes(expected: Mapping[str, Any], names: Mapping[str, str | list[str]]) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every released name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path, name in names.items():
        shape = tuple(expected[path].shape)
        shapes.update({name: shape} if isinstance(name, str) else dict.fromkeys(name, shape[1:]))
    return shapes
