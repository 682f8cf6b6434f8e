"""The baselines of the controlled experiments: three backbones of the 1B size, 500,000 steps at 256."""

from __future__ import annotations

import dataclasses

from i1_model.adapters.mlp import MLPAdapter
from i1_model.backbones.cross_attention import CrossAttention
from i1_model.backbones.dual_stream import DualStream
from i1_model.backbones.patch_transformer import PatchTransformerConfig
from i1_model.backbones.single_stream import SingleStream
from i1_model.sampling import SamplingDefaults

from i1_train.config import TrainConfig
from i1_train.recipes.i1 import stage

WIDTH, NUM_HEADS = 1152, 16


def baseline(name: str, backbone: PatchTransformerConfig) -> TrainConfig:
    """Returns the baseline with a backbone: an MLP adapter, and blocks modulated by the time."""
    recipe = stage("i1-1B", 256)
    return dataclasses.replace(
        recipe,
        recipe=name,
        model=dataclasses.replace(recipe.model, backbone=backbone, adapter=MLPAdapter()),
        steps=500_000,
        sampling=SamplingDefaults(guidance={"component": "cfg", "rescale": 0.0}),
    )


def cross() -> TrainConfig:
    """Image tokens attend to the text by cross-attention."""
    return baseline("baseline-cross", CrossAttention(hidden_width=WIDTH, num_heads=NUM_HEADS, adaln="time"))


def single() -> TrainConfig:
    """Image and text tokens share all parameters."""
    return baseline("baseline-single", SingleStream(hidden_width=WIDTH, num_heads=NUM_HEADS, adaln="time"))


def dual() -> TrainConfig:
    """Two streams for image and text, with joint attention."""
    return baseline("baseline-dual", DualStream(hidden_width=WIDTH, num_heads=NUM_HEADS, adaln="time"))
