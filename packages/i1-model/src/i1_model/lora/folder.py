"""Folders of adapters: a LoRA file, and a `config.json` that names the adapted model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from i1_hooks import UserError
from i1_hooks.files import write_atomically

from i1_model.arrays.json_object import JsonObject
from i1_model.checkpoints.folder import CONFIG_FILE, LORA_FILE, WEIGHTS_FILE, read_config, to_record
from i1_model.config import ModelConfig
from i1_model.lora.factors import Adapter
from i1_model.lora.files import read_lora, write_lora
from i1_model.lora.layers import find_layers

ADAPTER = "adapter"
"""The key of `config.json` that says what the adapter belongs to."""


@dataclass(frozen=True, eq=False)
class AdapterFolder:
    """The content of an adapter's folder.

    Attributes:
        config: the configuration of the adapted model.
        metadata: as in `i1_model.checkpoints.folder.LoadedModel`.
        base: the path or name of the adapted model.
        adapter: the arrays by layer.
    """

    config: ModelConfig
    metadata: JsonObject
    base: str
    adapter: Adapter


def save_adapter(
    folder: Path, config: ModelConfig, adapter: Adapter, *, base: str, metadata: JsonObject
) -> Path:
    """Writes an adapter as a model folder; each file appears whole or not at all, the weights first.

    Args:
        folder: the folder, created if absent.
        config: the configuration of the adapted model.
        adapter: the arrays, stored in the diffusers format, in its dtype.
        base: the path or name of the adapted model.
        metadata: as for `save_model`.

    Raises:
        UserError: when the folder cannot be written.
    """
    ranks = sorted({factors.rank for factors in adapter.values()})
    about = {"base": base, "ranks": ranks, "layers": len(adapter)}
    write_lora(folder / LORA_FILE, adapter, "diffusers")
    text = json.dumps(to_record(config, {ADAPTER: about, **metadata}), indent=2) + "\n"
    write_atomically(folder / CONFIG_FILE, text)
    return folder


def is_adapter(folder: Path) -> bool:
    """Tells whether a folder holds an adapter and not a whole model."""
    return (
        (folder / CONFIG_FILE).is_file()
        and (folder / LORA_FILE).is_file()
        and not (folder / WEIGHTS_FILE).is_file()
    )


def load_adapter(folder: Path) -> AdapterFolder:
    """Reads the folder of an adapter.

    Raises:
        UserError: for a missing or foreign file, or an adapter that does not name its base.
    """
    config, metadata = read_config(folder)
    about = metadata.get(ADAPTER)
    if not isinstance(about, dict) or not isinstance(about.get("base"), str):
        raise UserError(f"{folder / CONFIG_FILE} does not name the model that its LoRA belongs to")
    modules = [layer.torch_name for layer in find_layers(config)]
    return AdapterFolder(config, metadata, about["base"], read_lora(folder, modules).adapter)
