"""Adapters: networks between a text encoder and the backbone."""

from i1_model.adapters.base import Adapter, AdapterConfig
from i1_model.adapters.mlp import MLPAdapter
from i1_model.adapters.transformer import TransformerAdapter

__all__ = ["Adapter", "AdapterConfig", "MLPAdapter", "TransformerAdapter"]
