"""Recipes, the training step, the loop and its state, for i1."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i1_model.sampling import SamplingDefaults

    from i1_train.config import Average, Checkpointing, FromStage, InitFrom, TrainConfig
    from i1_train.devices.machines import Hardware, MachineMesh
    from i1_train.loop import train

__all__ = [
    "Average",
    "Checkpointing",
    "FromStage",
    "Hardware",
    "InitFrom",
    "MachineMesh",
    "SamplingDefaults",
    "TrainConfig",
    "train",
]

_HOMES = dict.fromkeys(__all__, "i1_train.config") | {
    "Hardware": "i1_train.devices.machines",
    "MachineMesh": "i1_train.devices.machines",
    "SamplingDefaults": "i1_model.sampling",
    "train": "i1_train.loop",
}


def __getattr__(name: str) -> object:
    """Imports a public name on first use, so that `import i1_train` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'i1_train' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
