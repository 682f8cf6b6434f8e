"""The text tower of CLIP (arXiv 2103.00020): causal, learned positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from i1_hooks import UserError

from i1_model.sharding import lookup
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import attend, causal, dense, layer_norm, scan_layers, split_heads
from i1_model.text_encoders.pretrained import PretrainedEncoder, arrays, require
from i1_model.text_encoders.tokenizer import PromptTokenizer
from i1_model.text_encoders.weights import Layout, Stored


@dataclass(frozen=True, kw_only=True)
class CLIPEncoder(PretrainedEncoder):
    """Configuration of a CLIP text tower; the defaults are those of ViT-L/14.

    A prompt stands between the start and the end token; the end token also pads.

    Attributes:
        ffn_width: of the feed-forward layer.
        depth: number of layers.
        num_heads: attention heads.
        activation: of the feed-forward layer; `"quick_gelu"` is `x sigmoid(1.702 x)`.
        eps: of the norms.
        max_positions: rows of the position table, an upper limit of `num_tokens`.
        vocab_size: rows of the embedding table.
        start_id: the start token.
        end_id: the end token.
    """

    repository: str = "openai/clip-vit-large-patch14"
    num_tokens: int = 77
    width: int = 768
    pad_id: int = 49407
    ffn_width: int = 3072
    depth: int = 12
    num_heads: int = 12
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    eps: float = 1e-5
    max_positions: int = 77
    vocab_size: int = 49408
    start_id: int = 49406
    end_id: int = 49407

    licence: ClassVar[str] = "MIT"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"large": {}}
    prefixes: ClassVar[tuple[str, ...]] = ("text_model.", "")
    ignored: ClassVar[str] = (
        r"vision_model\..*|visual_projection\..*|text_projection\..*|logit_scale|.*\.position_ids"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_tokens > self.max_positions:
            raise UserError(
                f"num_tokens {self.num_tokens} exceeds the {self.max_positions} positions of CLIP"
            )
        if self.width % self.num_heads:
            raise UserError(f"width {self.width} is no multiple of num_heads {self.num_heads}")

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "clip", "clip_text_model")
        data = data.get("text_config", data)
        activation = data.get("hidden_act", "quick_gelu")
        require("hidden_act", activation, "quick_gelu", "gelu")
        return {
            "width": data["hidden_size"],
            "ffn_width": data["intermediate_size"],
            "depth": data["num_hidden_layers"],
            "num_heads": data["num_attention_heads"],
            "activation": activation,
            "eps": data.get("layer_norm_eps", 1e-5),
            "max_positions": data.get("max_position_embeddings", 77),
            "vocab_size": data.get("vocab_size", 49408),
        }

    def layout(self) -> Layout:
        """Returns where each parameter is stored."""
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

    def make_tokenizer(self, tokenizer: Any) -> PromptTokenizer:
        """Returns what turns prompts into ids, given a `tokenizers.Tokenizer`."""
        return PromptTokenizer(
            tokenizer, self.num_tokens, before=[self.start_id], after=[self.end_id], pad_id=self.pad_id
        )

    def encode(self, params: Any, tokens: Tokens) -> jax.Array:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32 and `mask` (B, T) bool, T at most `max_positions`.

        Returns:
            (B, T, W) float32.
        """
        ids, mask = arrays(tokens)
        allowed = causal(mask)
        head_dim = self.width // self.num_heads

        def step(x: jax.Array, layer: Any) -> jax.Array:
            def linear(y: jax.Array, name: str) -> jax.Array:
                return dense(y, layer[name], layer[f"{name}_bias"])

            def norm(y: jax.Array, name: str) -> jax.Array:
                return layer_norm(y, layer[name], layer[f"{name}_bias"], self.eps)

            inner = norm(x, "before_attention")
            q, k, v = (split_heads(linear(inner, name), head_dim) for name in "qkv")
            x = x + linear(attend(q, k, v, allowed, scale=head_dim**-0.5), "o")
            return x + linear(self._activate(linear(norm(x, "before_mlp"), "up")), "down")

        x = lookup(params["embed"], ids) + params["positions"][None, : ids.shape[1]]
        x = scan_layers(step, params["layers"], x)
        return layer_norm(x, params["norm"], params["norm_bias"], self.eps).astype(jnp.float32)

    def _activate(self, x: jax.Array) -> jax.Array:
        if self.activation == "quick_gelu":
            return x * jax.nn.sigmoid(1.702 * x)
        return jax.nn.gelu(x, approximate=False)
