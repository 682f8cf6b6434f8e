"""Backbones: networks that predict the flow target from noisy latents, time and text."""

from i1_model.backbones.base import Backbone, BackboneConfig, Conditioning, LatentSpec
from i1_model.backbones.dual_stream import DualStream

__all__ = ["Backbone", "BackboneConfig", "Conditioning", "DualStream", "LatentSpec"]
