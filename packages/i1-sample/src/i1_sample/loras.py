"""LoRA files given to the pipeline, merged into the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from i1_model.config import ModelConfig
from i1_model.lora.factors import Adapter, merge
from i1_model.lora.files import read_lora_for

from i1_sample.options import LoraSetting


def read_loras(config: ModelConfig, settings: Sequence[LoraSetting]) -> list[tuple[Adapter, float]]:
    """Reads LoRA files for a model.

    Raises:
        UserError: for a file that is missing, damaged or of another model.
    """
    return [(read_lora_for(config, setting.path).adapter, setting.scale) for setting in settings]


def merge_loras(config: ModelConfig, params: Any, adapters: Sequence[tuple[Adapter, float]]) -> Any:
    """Returns the parameters with LoRAs added; without any, the same parameters."""
    return merge(config, params, adapters) if adapters else params
