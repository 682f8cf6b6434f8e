"""The text towers of CLIP and SigLIP: pre-norm layers with LayerNorm and biases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from i1_hooks import UserError
from jax import Array

from i1_model.text_encoders.blocks import attend, dense, layer_norm, scan_layers, split_heads
from i1_model.text_encoders.pretrained import PretrainedEncoder
from i1_model.text_encoders.weights import Layout, Stored


@dataclass(frozen=True, kw_only=True)
class CLIPFamilyEncoder(PretrainedEncoder):
    """Base of the configurations of text towers with learned positions.

    Attributes:
        ffn_width: inner width of the feed-forward network.
        depth: number of layers.
        num_heads: number of attention heads.
        eps: epsilon of the norms.
        max_positions: rows of the position table.
        vocab_size: rows of the embedding table.
        end_id: the token after the prompt.
    """

    ffn_width: int
    depth: int
    num_heads: int
    eps: float
    max_positions: int
    vocab_size: int
    end_id: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise UserError(f"width {self.width} is not a multiple of num_heads {self.num_heads}")

    def layout(self) -> Layout:
        """Returns the stored name and shape of each parameter."""
        width = self.width

        def pair(key: str, name: str, *shape: int) -> dict[str, Stored]:
            name = f"encoder.layers.{{}}.{name}"
            return {
                key: Stored(f"{name}.weight", shape, self.depth),
                f"{key}_bias": Stored(f"{name}.bias", shape[:1], self.depth),
            }

        return {
            "embed": Stored("embeddings.token_embedding.weight", (self.vocab_size, width)),
            "positions": Stored("embeddings.position_embedding.weight", (self.max_positions, width)),
            "layers": {
                **pair("q", "self_attn.q_proj", width, width),
                **pair("k", "self_attn.k_proj", width, width),
                **pair("v", "self_attn.v_proj", width, width),
                **pair("o", "self_attn.out_proj", width, width),
                **pair("before_attention", "layer_norm1", width),
                **pair("up", "mlp.fc1", self.ffn_width, width),
                **pair("down", "mlp.fc2", width, self.ffn_width),
                **pair("before_mlp", "layer_norm2", width),
            },
            "norm": Stored("final_layer_norm.weight", (width,)),
            "norm_bias": Stored("final_layer_norm.bias", (width,)),
        }

    def transform(self, params: Any, x: Array, allowed: Array, activation: Callable[[Array], Array]) -> Array:
        """Applies the layers and the final norm.

        Args:
            params: what `load` returned.
            x: (B, T, W), the embeddings with positions.
            allowed: (B, T, T) bool, the keys that each query may attend to.
            activation: of the feed-forward network.

        Returns:
            (B, T, W) float32.
        """
        head_dim = self.width // self.num_heads

        def step(x: Array, layer: Any) -> Array:
            inner = layer_norm(x, layer["before_attention"], layer["before_attention_bias"], self.eps)
            q = split_heads(dense(inner, layer["q"], layer["q_bias"]), head_dim)
            k = split_heads(dense(inner, layer["k"], layer["k_bias"]), head_dim)
            v = split_heads(dense(inner, layer["v"], layer["v_bias"]), head_dim)
            out = attend(q, k, v, allowed, scale=head_dim**-0.5)
            x = x + dense(out, layer["o"], layer["o_bias"])
            inner = layer_norm(x, layer["before_mlp"], layer["before_mlp_bias"], self.eps)
            inner = activation(dense(inner, layer["up"], layer["up_bias"]))
            return x + dense(inner, layer["down"], layer["down_bias"])

        x = scan_layers(step, params["layers"], x)
        return layer_norm(x, params["norm"], params["norm_bias"], self.eps).astype(jnp.float32)


def layer_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the sizes in the text part of a `config.json`.

    Raises:
        KeyError: for an absent setting.
    """
    return {
        "width": data["hidden_size"],
        "ffn_width": data["intermediate_size"],
        "depth": data["num_hidden_layers"],
        "num_heads": data["num_attention_heads"],
    }
