"""The named sizes of i1: dual stream, depth 29, head width 72, transformer adapter of two blocks."""

from __future__ import annotations

from typing import Literal

from i1_hooks import unknown

from i1_model.adapters import TransformerAdapter
from i1_model.autoencoders import AutoencoderConfig
from i1_model.backbones import DualStream
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders import TextEncoderConfig

NUM_HEADS = {
    "i1-1B": 16,
    "i1-1.3B": 18,
    "i1-1.6B": 20,
    "i1-2B": 22,
    "i1-2.3B": 24,
    "i1-2.7B": 26,
    "i1-3B": 28,
}
"""Number of heads by size; the hidden width is 72 times that."""
HEAD_DIM = 72
TIME_SHIFT = {1024: 0.3}
"""Shift of the training times by resolution; the other resolutions have none."""


def model_config(
    name: str,
    *,
    text_encoders: tuple[TextEncoderConfig, ...],
    autoencoder: AutoencoderConfig,
    resolution: int = 1024,
    compute_dtype: Literal["float32", "bfloat16"] = "float32",
) -> ModelConfig:
    """Returns a model of a named size; change parts of it with `dataclasses.replace`.

    Args:
        name: one of `NUM_HEADS`.
        text_encoders: the text encoders; i1 has one with 256 tokens of width 2304.
        autoencoder: the autoencoder; that of i1 has 32 channels and factor 8.
        resolution: pixels along an edge; the released stages are 256, 512 and 1024.
        compute_dtype: dtype of activations and matrix products.

    Raises:
        UserError: for an unknown name.
    """
    if name not in NUM_HEADS:
        raise unknown("size", name, NUM_HEADS)
    num_heads = NUM_HEADS[name]
    return ModelConfig(
        backbone=DualStream(hidden_width=HEAD_DIM * num_heads, num_heads=num_heads),
        adapter=TransformerAdapter(num_heads=num_heads),
        text_encoders=text_encoders,
        autoencoder=autoencoder,
        flow=RectifiedFlow(shift=TIME_SHIFT.get(resolution, 1.0)),
        resolution=resolution,
        compute_dtype=compute_dtype,
    )
