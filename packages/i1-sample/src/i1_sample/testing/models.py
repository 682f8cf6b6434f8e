"""A model small enough for a test, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from i1_model.adapters import TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream
from i1_model.checkpoints.folder import save_model
from i1_model.checkpoints.names import from_released, to_released
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders.hash import HashEncoder

TINY = ModelConfig(
    backbone=DualStream(hidden_width=24, num_heads=2, depth=3, layers="scan"),
    adapter=TransformerAdapter(num_blocks=1, num_heads=2),
    text_encoders=(HashEncoder(num_tokens=12, width=16),),
    autoencoder=PatchAutoencoder(factor=4),
    flow=RectifiedFlow(),
    resolution=16,
)
"""The configuration of the model."""

SAMPLING = {
    "num_inference_steps": 3,
    "guidance_scale": 4.0,
    "solver": "euler",
    "time_grid": {"component": "shifted", "shift": 0.5},
    "guidance": {"component": "cfg", "rescale": 0.25},
}
"""Its sampling defaults."""


def write_tiny_model(folder: Path, seed: int = 0, **metadata: Any) -> Path:
    """Saves a random model of 16x16 pixels and 3 steps.

    Args:
        folder: the model folder, made when absent.
        seed: of the weights.
        **metadata: entries of the folder's `config.json` besides the configuration.
    """
    _, shapes = jax.eval_shape(lambda: nnx.split(init_denoiser(TINY, jax.random.key(0))))
    random = np.random.default_rng(seed)
    arrays = {
        name: np.float32(name.endswith("scale")) + random.normal(0, 0.2, like.shape).astype(np.float32)
        for name, like in to_released(shapes).items()
    }
    stored = {"step": 7, "recipe": "tiny", "sampling": SAMPLING, **metadata}
    return save_model(folder, TINY, from_released(TINY, arrays), metadata=stored)
