"""LoRA files given to the pipeline: which, how strongly, and merging them into the weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from i1_hooks import UserError
from i1_model.config import ModelConfig
from i1_model.lora.factors import Adapter, merge
from i1_model.lora.files import read_lora
from i1_model.lora.layers import find_layers

LoraChoice = str | os.PathLike[str] | tuple[str | os.PathLike[str], float]
"""A path, `"path:strength"`, or both as a pair."""


@dataclass(frozen=True)
class LoraSetting:
    """One LoRA and how strongly it is added.

    Attributes:
        path: a LoRA file, a folder that holds one, or a workdir.
        strength: 1 is as trained, 0 is without, below 0 is away from it.
    """

    path: str
    strength: float = 1.0

    def __str__(self) -> str:
        return f"{self.path}:{self.strength:g}"


def parse_lora(choice: LoraChoice) -> LoraSetting:
    """Returns a setting from a path, with the strength after a last colon.

    Raises:
        UserError: for a strength that is no finite number.
    """
    if isinstance(choice, tuple):
        path, strength = os.fspath(choice[0]), float(choice[1])
    else:
        path, strength = os.fspath(choice), 1.0
        before, colon, after = path.rpartition(":")
        if colon and not os.path.exists(path):  # noqa: PTH110  (a plain text as given)
            try:
                path, strength = before, float(after)
            except ValueError:
                raise UserError(
                    f"lora {path!r}: {after!r} is no strength; write PATH or PATH:STRENGTH, as in style:0.8"
                ) from None
    if not abs(strength) < float("inf"):
        raise UserError(f"lora {path!r}: the strength must be a finite number, got {strength}")
    return LoraSetting(path, strength)


def read_loras(config: ModelConfig, settings: Sequence[LoraSetting]) -> list[tuple[Adapter, float]]:
    """Reads LoRA files for a model.

    Raises:
        UserError: for a file that is missing, damaged or of another model.
    """
    modules = [layer.torch_name for layer in find_layers(config)] if settings else []
    return [(read_lora(setting.path, modules).adapter, setting.strength) for setting in settings]


def merge_loras(config: ModelConfig, params: Any, adapters: Sequence[tuple[Adapter, float]]) -> Any:
    """Returns the parameters with LoRAs added; without any, the same parameters."""
    return merge(config, params, adapters) if adapters else params
