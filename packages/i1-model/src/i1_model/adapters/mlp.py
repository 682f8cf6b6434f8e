"""The adapter of the controlled experiments: a two-layer network per token."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from jax import Array
from jaxtyping import Bool, Float

from i1_model.adapters.base import Adapter, AdapterConfig
from i1_model.layers.linear import XAVIER_UNIFORM, Linear


@dataclass(frozen=True, kw_only=True)
class MLPAdapter(AdapterConfig):
    """Two dense layers of the backbone's width with an exact GELU between them."""

    def build(self, text_width: int, hidden_width: int, key: Array) -> MLPAdapterModule:
        """Returns the adapter."""
        return MLPAdapterModule(text_width, hidden_width, key)


class MLPAdapterModule(Adapter):
    """The network of `MLPAdapter`: `mlp_dense_1(gelu(mlp_dense_0(tokens)))`."""

    def __init__(self, text_width: int, hidden_width: int, key: Array) -> None:
        key_in, key_out = jax.random.split(key)
        self.mlp_dense_0 = Linear(text_width, hidden_width, key_in, init=XAVIER_UNIFORM)
        self.mlp_dense_1 = Linear(hidden_width, hidden_width, key_out, init=XAVIER_UNIFORM)

    def __call__(self, tokens: Float[Array, "B T W"], mask: Bool[Array, "B T"]) -> Float[Array, "B T D"]:
        """Maps (B, T, text_width) to (B, T, hidden_width); the mask is not read."""
        del mask
        return self.mlp_dense_1(jax.nn.gelu(self.mlp_dense_0(tokens), approximate=False))
