"""Backbones: networks that predict the flow target from noisy latents, time and text."""

from i1_model.backbones.base import Backbone, BackboneConfig, Conditioning, LatentSpec
from i1_model.backbones.cross_attention import CrossAttention
from i1_model.backbones.dual_stream import DualStream
from i1_model.backbones.single_stream import SingleStream

__all__ = [
    "Backbone",
    "BackboneConfig",
    "Conditioning",
    "CrossAttention",
    "DualStream",
    "LatentSpec",
    "SingleStream",
]
