"""Recipes, the training step, the loop and its state, for i1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i1_hooks.lazy import lazy_exports

if TYPE_CHECKING:
    from i1_model.sampling import SamplingDefaults

    from i1_train.checkpoints.checkpointing import Checkpointing
    from i1_train.config import Average, FromStage, InitFrom, TrainConfig
    from i1_train.devices.machines import Hardware, MachineMesh
    from i1_train.guard import Guard
    from i1_train.held_out import HeldOut
    from i1_train.loop import train

__all__ = [
    "Average",
    "Checkpointing",
    "FromStage",
    "Guard",
    "Hardware",
    "HeldOut",
    "InitFrom",
    "MachineMesh",
    "SamplingDefaults",
    "TrainConfig",
    "train",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Average": "i1_train.config",
        "Checkpointing": "i1_train.checkpoints.checkpointing",
        "FromStage": "i1_train.config",
        "Guard": "i1_train.guard",
        "Hardware": "i1_train.devices.machines",
        "HeldOut": "i1_train.held_out",
        "InitFrom": "i1_train.config",
        "MachineMesh": "i1_train.devices.machines",
        "SamplingDefaults": "i1_model.sampling",
        "TrainConfig": "i1_train.config",
        "train": "i1_train.loop",
    },
)
