"""LoRA files on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from i1_hooks import UserError
from i1_hooks.files import parse_json, read_json, write_atomically

from i1_model.arrays.dtypes import is_weight
from i1_model.arrays.json_object import JsonObject
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.safetensors import open_safetensors
from i1_model.arrays.safetensors_writer import write_safetensors
from i1_model.checkpoints.folder import LORA_FILE, make_folder
from i1_model.checkpoints.workdir import MODEL, newest_checkpoint
from i1_model.config import ModelConfig
from i1_model.lora.factors import Adapter, check_adapter
from i1_model.lora.formats import PEFT_METADATA, FormatName, decode, detect, encode
from i1_model.lora.layers import find_layers

PEFT_FILE = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"


@dataclass(frozen=True, eq=False)
class LoraFile:
    """The content of a LoRA file.

    Attributes:
        path: the file.
        format: the format of its keys.
        adapter: the arrays by layer.
    """

    path: Path
    format: FormatName
    adapter: Adapter


def find_lora(path: str | os.PathLike[str]) -> Path:
    """Returns the LoRA file that a path stands for.

    Args:
        path: the file, a folder that holds one, a checkpoint, or the workdir of a run (its newest).

    Raises:
        UserError: when there is none.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    newest = newest_checkpoint(path, lambda checkpoint: _lora_in(checkpoint / MODEL) is not None)
    for folder in (path, path / MODEL, *([] if newest is None else [newest / MODEL])):
        if (found := _lora_in(folder)) is not None:
            return found
    raise UserError(f"no LoRA at {str(path)!r}: give a safetensors file, or a folder or run with {LORA_FILE}")


def _lora_in(folder: Path) -> Path | None:
    return next((folder / name for name in (LORA_FILE, PEFT_FILE) if (folder / name).is_file()), None)


def read_lora(path: str | os.PathLike[str], modules: Iterable[str] | None = None) -> LoraFile:
    """Reads a LoRA file in any of the formats, which its keys tell.

    Args:
        path: as for `find_lora`.
        modules: the PyTorch names of the model's layers; only kohya's keys need them.

    Raises:
        UserError: naming the file and the key, for a missing, truncated or foreign file, arrays that are no
            LoRA, and numbers that are not finite.
    """
    path = find_lora(path)
    file = open_safetensors(path)
    arrays = {key: _values(path, key, array) for key, array in file.arrays.items()}
    config = _peft_config(path, file.metadata)
    try:
        return LoraFile(path, detect(arrays), decode(arrays, config, modules))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def read_lora_for(config: ModelConfig, path: str | os.PathLike[str]) -> LoraFile:
    """Reads a LoRA file that must fit a model.

    Args:
        config: the model.
        path: as for `find_lora`.

    Raises:
        UserError: as `read_lora`; and naming the file and the layers that the model lacks or that have other
            widths.
    """
    layers = {layer.torch_name: layer for layer in find_layers(config)}
    lora = read_lora(path, layers)
    try:
        check_adapter(layers, lora.adapter)
    except UserError as error:
        raise UserError(f"{lora.path}: {error}") from error
    return lora


def write_lora(
    path: Path, adapter: Adapter, name: FormatName, metadata: dict[str, str] | None = None
) -> Path:
    """Writes a LoRA file, whole or not at all.

    Args:
        path: the file; its folder is created if absent.
        adapter: the arrays, stored in their dtypes.
        name: the format of the keys.
        metadata: more strings for the header.

    Raises:
        UserError: when it cannot be written.
    """
    arrays, described = encode(adapter, name)
    stored = {key: LazyArray.of(array, f"{path}: {key}") for key, array in arrays.items()}
    make_folder(path.parent)
    return write_atomically(
        path, lambda file: write_safetensors(file, stored, {**(metadata or {}), **described})
    )


def _values(path: Path, key: str, array: LazyArray) -> np.ndarray:
    if not is_weight(array.stored):
        raise UserError(f"{path}: {key} is stored as {array.stored}, not as floating-point numbers")
    return np.asarray(array)


def _peft_config(path: Path, metadata: Mapping[str, str]) -> JsonObject | None:
    """Returns PEFT's configuration from the file's header or from `adapter_config.json` beside it."""
    text, beside = metadata.get(PEFT_METADATA), path.parent / PEFT_CONFIG
    if text is not None:
        where, config = f"{path}: {PEFT_METADATA}", parse_json(text, f"{path}: {PEFT_METADATA}")
    elif beside.is_file():
        where, config = str(beside), read_json(beside)
    else:
        return None
    if not isinstance(config, dict):
        raise UserError(f"{where} is not a JSON object")
    return {key.removeprefix("transformer."): value for key, value in config.items()}
