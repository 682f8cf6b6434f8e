"""Model folders: `config.json` and `model.safetensors`, all that sampling needs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from i1_hooks import UserError, from_dict, get_registry, to_dict
from i1_hooks.files import write_atomically
from jaxtyping import PyTree

from i1_model.arrays.dtypes import WeightDtype, weight_dtype
from i1_model.arrays.json_object import JsonObject, read_json
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.loading import Progress, Sharding
from i1_model.arrays.safetensors import safetensors_arrays
from i1_model.arrays.safetensors_writer import write_safetensors
from i1_model.checkpoints.names import from_released, to_released
from i1_model.config import ModelConfig

FORMAT = "i1-model"
FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
LORA_FILE = "pytorch_lora_weights.safetensors"
"""The weights of a folder that holds an adapter and not a whole model."""
_OBJECTS = ("plugins", "sampling", "adapter")
_RESERVED = ("format", "format_version", "model", "plugins")


@dataclass(frozen=True)
class LoadedModel:
    """A model read from a folder.

    Attributes:
        config: the model's configuration.
        params: the state that `nnx.merge` takes.
        metadata: the rest of `config.json`: `plugins`, and for example `step`, `recipe`, `sampling`.
    """

    config: ModelConfig
    params: PyTree
    metadata: JsonObject


def save_model(
    folder: str | os.PathLike[str],
    config: ModelConfig,
    params: PyTree,
    *,
    dtype: WeightDtype = "float32",
    metadata: JsonObject,
) -> Path:
    """Writes a model folder; each file appears whole or not at all, the weights first.

    Args:
        folder: the folder, created if absent; other files in it are kept.
        config: the model's configuration.
        params: the denoiser's parameters, as `nnx.split` returns them or as nested dicts.
        dtype: the dtype of the stored arrays.
        metadata: JSON-ready values stored with the configuration, for example `step` and `recipe`.

    Returns:
        The folder.

    Raises:
        UserError: when the folder cannot be written, a parameter is not finite, or metadata holds a reserved
            key.
    """
    for key in _RESERVED:
        if key in metadata:
            raise UserError(f"metadata key {key!r} is reserved; reserved are {', '.join(_RESERVED)}")
    text = json.dumps(to_record(config, metadata), indent=2)
    numpy_dtype = weight_dtype(dtype)
    arrays = to_released(jax.device_get(params))
    folder = Path(folder)
    stored = {
        name.replace("/", "."): LazyArray.of(np.asarray(array), f"{folder}: {name}").astype(numpy_dtype)
        for name, array in arrays.items()
    }
    make_folder(folder)
    write_atomically(
        folder / WEIGHTS_FILE, lambda file: write_safetensors(file, stored, metadata={"format": FORMAT})
    )
    write_atomically(folder / CONFIG_FILE, text + "\n")
    return folder


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents, unless they exist.

    Raises:
        UserError: when it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write the model folder {folder}: {error.strerror}") from error


def load_model(
    folder: str | os.PathLike[str],
    dtype: WeightDtype = "float32",
    *,
    sharding: Sharding | None = None,
    progress: Progress | None = None,
) -> LoadedModel:
    """Reads a model folder.

    Args:
        folder: holds `config.json` and `model.safetensors`.
        dtype: the dtype of the returned parameters; frozen tables stay float32.
        sharding: as for `i1_model.checkpoints.names.from_released`.
        progress: as for `i1_model.checkpoints.names.from_released`.

    Raises:
        UserError: for a missing, truncated or foreign file, an absent plugin, or weights that do not fit the
            configuration.
    """
    folder = Path(folder)
    config, metadata = read_config(folder)
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise UserError(f"{folder} has no {WEIGHTS_FILE}: the model folder is incomplete")
    target = weight_dtype(dtype)
    try:
        params = from_released(
            config,
            {
                name.replace(".", "/"): array.astype(target)
                for name, array in safetensors_arrays(path).items()
            },
            sharding=sharding,
            progress=progress,
        )
    except UserError as error:
        raise UserError(f"{path} does not fit {CONFIG_FILE} beside it: {error}") from error
    return LoadedModel(config, params, metadata)


def read_config(folder: str | os.PathLike[str]) -> tuple[ModelConfig, JsonObject]:
    """Reads a model folder's configuration without its weights.

    Returns:
        The configuration, and the metadata as in `LoadedModel`.

    Raises:
        UserError: for a missing or foreign file, or an absent plugin.
    """
    path = Path(folder) / CONFIG_FILE
    if not path.is_file():
        raise UserError(f"{folder} has no {CONFIG_FILE}: it is not a model folder")
    return from_record(read_json(path), str(path))


def to_record(config: ModelConfig, metadata: JsonObject) -> JsonObject:
    """Returns what `config.json` holds, JSON-ready.

    Args:
        config: the model's configuration.
        metadata: as in `LoadedModel`; without `plugins`, those installed here are written.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": to_dict(config),
        "plugins": get_registry().installed(),
        **metadata,
    }


def from_record(data: Any, where: str) -> tuple[ModelConfig, JsonObject]:
    """Returns the configuration and the metadata of a record; the inverse of `to_record`.

    Args:
        data: the parsed JSON.
        where: the name of the file, for messages.

    Raises:
        UserError: for another format, or an absent plugin.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT or "model" not in data:
        raise UserError(f'{where} is not the configuration of a model: expected "format": "{FORMAT}"')
    version = data.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{where} has format_version {version!r}, this i1 reads {FORMAT_VERSION}: update i1-model"
        )
    for key in _OBJECTS:
        if not isinstance(data.get(key, {}), dict):
            raise UserError(f"{where}: {key} is {data[key]!r}, expected an object")
    try:
        config = from_dict(ModelConfig, data["model"], "model")
    except UserError as error:
        raise UserError(f"{where}: {error}{_absent_plugins(data.get('plugins', {}))}") from error
    return config, {
        key: value for key, value in data.items() if key not in ("format", "format_version", "model")
    }


def _absent_plugins(stored: Mapping[str, object]) -> str:
    absent = sorted(set(stored) - get_registry().distributions())
    if not absent:
        return ""
    names = ", ".join(f"{name} {stored[name]}" for name in absent)
    return f". The model was saved with plugins that are not installed here: {names}"
