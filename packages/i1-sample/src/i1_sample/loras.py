"""LoRA files given to the pipeline, merged into the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from i1_hooks import UserError
from i1_model.config import ModelConfig
from i1_model.lora.factors import Adapter, check_adapter, merge
from i1_model.lora.files import read_lora
from i1_model.lora.layers import find_layers

from i1_sample.options import LoraSetting


def read_loras(config: ModelConfig, settings: Sequence[LoraSetting]) -> list[tuple[Adapter, float]]:
    """Reads LoRA files for a model.

    Raises:
        UserError: for a file that is missing, damaged or of another model.
    """
    if not settings:
        return []
    layers = {layer.torch_name: layer for layer in find_layers(config)}
    found = []
    for setting in settings:
        adapter = read_lora(setting.path, list(layers)).adapter
        try:
            check_adapter(layers, adapter)
        except UserError as error:
            raise UserError(f"{setting.path}: {error}") from error
        found.append((adapter, setting.scale))
    return found


def merge_loras(config: ModelConfig, params: Any, adapters: Sequence[tuple[Adapter, float]]) -> Any:
    """Returns the parameters with LoRAs added; without any, the same parameters."""
    return merge(config, params, adapters) if adapters else params
