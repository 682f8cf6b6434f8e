"""What the encoders of the Gemma and Qwen families share: sizes, stored names and projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from i1_hooks import UserError
from jax import Array

from i1_model.text_encoders.blocks import dense, rotate, split_heads
from i1_model.text_encoders.pretrained import PretrainedEncoder, require
from i1_model.text_encoders.weights import Layout, Stored


@dataclass(frozen=True, kw_only=True)
class DecoderFamilyEncoder(PretrainedEncoder):
    """Base of the configurations of encoders whose query heads share key and value heads.

    Attributes:
        ffn_width: inner width of the gated feed-forward network.
        depth: number of layers.
        num_heads: number of query heads.
        num_kv_heads: number of key and value heads, a divisor of `num_heads`.
        head_dim: channels of one head.
        eps: epsilon of the norms.
        vocab_size: rows of the embedding table.
    """

    ffn_width: int
    depth: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    eps: float = 1e-6
    vocab_size: int

    width_norms: ClassVar[Mapping[str, str]]
    """Stored names of a layer's norms over the width, by parameter."""
    head_norms: ClassVar[Mapping[str, str]] = {}
    """Stored names of a layer's norms over the channels of a head, by parameter."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_heads % self.num_kv_heads:
            raise UserError(
                f"num_heads {self.num_heads} is not a multiple of num_kv_heads {self.num_kv_heads}"
            )

    def layout(self) -> Layout:
        """Returns the stored name and shape of each parameter."""
        width, ffn = self.width, self.ffn_width
        queries, keys = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim

        def layer(name: str, *shape: int) -> Stored:
            return Stored(f"layers.{{}}.{name}.weight", shape, self.depth)

        return {
            "embed": Stored("embed_tokens.weight", (self.vocab_size, width)),
            "layers": {
                "q": layer("self_attn.q_proj", queries, width),
                "k": layer("self_attn.k_proj", keys, width),
                "v": layer("self_attn.v_proj", keys, width),
                "o": layer("self_attn.o_proj", width, queries),
                "gate": layer("mlp.gate_proj", ffn, width),
                "up": layer("mlp.up_proj", ffn, width),
                "down": layer("mlp.down_proj", width, ffn),
                **{key: layer(name, width) for key, name in self.width_norms.items()},
                **{key: layer(name, self.head_dim) for key, name in self.head_norms.items()},
            },
            "norm": Stored("norm.weight", (width,)),
        }

    def project(self, x: Array, layer: Any) -> tuple[Array, Array, Array]:
        """Returns queries (B, T, N, D), keys and values (B, T, K, D) of x (B, T, W)."""
        q, k, v = (split_heads(dense(x, layer[name]), self.head_dim) for name in "qkv")
        return q, k, v


def layer_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the sizes in the text part of a `config.json`.

    Raises:
        KeyError: for an absent setting.
        UserError: for biases, which these encoders do not have.
    """
    require("attention_bias", data.get("attention_bias", False), False)
    return {
        "width": data["hidden_size"],
        "ffn_width": data["intermediate_size"],
        "depth": data["num_hidden_layers"],
        "num_heads": data["num_attention_heads"],
        "num_kv_heads": data["num_key_value_heads"],
        "head_dim": data["head_dim"],
        "eps": data["rms_norm_eps"],
        "vocab_size": data["vocab_size"],
    }


def rotate_both(q: Array, k: Array, positions: Array, theta: float | Array) -> tuple[Array, Array]:
    """Applies rotary positions (B, T) to queries and keys."""
    return rotate(q, positions, theta), rotate(k, positions, theta)
