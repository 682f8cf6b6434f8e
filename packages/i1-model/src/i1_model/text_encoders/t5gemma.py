"""The encoder of T5Gemma: Gemma 2 layers that see the whole prompt (arXiv 2504.06225)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from i1_hooks import UserError

from i1_model.sharding import lookup
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import attend, dense, rms_norm, rotate, scan_layers, split_heads
from i1_model.text_encoders.pretrained import PretrainedEncoder, arrays, require, rope_theta
from i1_model.text_encoders.weights import Layout, Stored

_9B: Mapping[str, Any] = {"width": 3584, "ffn_width": 14336, "depth": 42, "num_heads": 16, "num_kv_heads": 8}


@dataclass(frozen=True, kw_only=True)
class T5GemmaEncoder(PretrainedEncoder):
    """Configuration of a T5Gemma encoder; the defaults are those of i1.

    Prompts get neither a first nor a last token, and an empty prompt has an all-false mask.

    Attributes:
        ffn_width: of the gated feed-forward layer.
        depth: number of layers.
        num_heads: query heads.
        num_kv_heads: key and value heads.
        head_dim: channels of one head.
        query_scalar: the logits are divided by its square root.
        softcap: of the attention logits.
        sliding_window: even layers see keys nearer than this, odd ones all.
        theta: rotary base.
        eps: of the norms.
        vocab_size: rows of the embedding table.
        padding_queries: what padded positions receive from attention: `"zero"` nothing, and positions count
            valid tokens, as in the JAX encoder that i1 was trained with; `"attend"` the valid tokens, as in
            PyTorch. Valid tokens are the same.
    """

    repository: str = "google/t5gemma-2b-2b-ul2-it"
    num_tokens: int = 256
    width: int = 2304
    ffn_width: int = 9216
    depth: int = 26
    num_heads: int = 8
    num_kv_heads: int = 4
    head_dim: int = 256
    query_scalar: int = 256
    softcap: float = 50.0
    sliding_window: int = 4096
    theta: float = 10000.0
    eps: float = 1e-6
    vocab_size: int = 256000
    padding_queries: Literal["zero", "attend"] = "zero"

    licence: ClassVar[str] = "Gemma Terms of Use"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "2b-2b": {"repository": "google/t5gemma-2b-2b-ul2"},
        "2b-2b-it": {},
        "9b-2b": {"repository": "google/t5gemma-9b-2b-ul2", **_9B},
        "9b-2b-it": {"repository": "google/t5gemma-9b-2b-ul2-it", **_9B},
    }
    prefixes: ClassVar[tuple[str, ...]] = ("model.encoder.", "encoder.", "")
    ignored: ClassVar[str] = r"(model\.)?decoder\..*|lm_head\..*"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_heads % self.num_kv_heads:
            raise UserError(f"num_heads {self.num_heads} is no multiple of num_kv_heads {self.num_kv_heads}")

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "t5gemma")
        data = data["encoder"]
        require("hidden_activation", data["hidden_activation"], "gelu_pytorch_tanh")
        depth = data["num_hidden_layers"]
        alternating = (["sliding_attention", "full_attention"] * depth)[:depth]
        require("layer_types", data.get("layer_types", alternating), alternating)
        return {
            "width": data["hidden_size"],
            "ffn_width": data["intermediate_size"],
            "depth": depth,
            "num_heads": data["num_attention_heads"],
            "num_kv_heads": data["num_key_value_heads"],
            "head_dim": data["head_dim"],
            "query_scalar": data["query_pre_attn_scalar"],
            "softcap": data["attn_logit_softcapping"],
            "sliding_window": data["sliding_window"],
            "theta": rope_theta(data),
            "eps": data["rms_norm_eps"],
            "vocab_size": data["vocab_size"],
        }

    def layout(self) -> Layout:
        """Returns where each parameter is stored."""
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
                "before_attention": layer("pre_self_attn_layernorm", width),
                "after_attention": layer("post_self_attn_layernorm", width),
                "before_mlp": layer("pre_feedforward_layernorm", width),
                "after_mlp": layer("post_feedforward_layernorm", width),
            },
            "norm": Stored("norm.weight", (width,)),
        }

    def encode(self, params: Any, tokens: Tokens) -> jax.Array:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32 and `mask` (B, T) bool, padded on either side.

        Returns:
            (B, T, W) float32.
        """
        ids, mask = arrays(tokens)
        places = jnp.arange(ids.shape[1], dtype=jnp.int32)
        near = jnp.abs(places[:, None] - places[None]) < self.sliding_window
        everywhere = jnp.broadcast_to(mask[:, None, :], (*ids.shape, ids.shape[1]))
        positions = jnp.broadcast_to(places[None], ids.shape)
        if self.padding_queries == "zero":
            positions = jnp.maximum(jnp.cumsum(mask.astype(jnp.int32), axis=1) - 1, 0)

        def norm(x: jax.Array, weight: jax.Array) -> jax.Array:
            return rms_norm(x, 1 + weight.astype(jnp.float32), self.eps)

        def attention(x: jax.Array, layer: Any, sliding: jax.Array) -> jax.Array:
            q, k, v = (split_heads(dense(x, layer[name]), self.head_dim) for name in "qkv")
            out = attend(
                rotate(q, positions, self.theta),
                rotate(k, positions, self.theta),
                v,
                everywhere & (near | ~sliding)[None],
                scale=self.query_scalar**-0.5,
                softcap=self.softcap,
            )
            if self.padding_queries == "zero":
                out = out * mask[..., None].astype(out.dtype)
            return dense(out, layer["o"])

        def step(x: jax.Array, inputs: Any) -> jax.Array:
            layer, sliding = inputs
            out = attention(norm(x, layer["before_attention"]), layer, sliding)
            x = x + norm(out, layer["after_attention"])
            inner = norm(x, layer["before_mlp"])
            gate = jax.nn.gelu(dense(inner, layer["gate"]), approximate=True)
            out = dense(gate * dense(inner, layer["up"]), layer["down"])
            return x + norm(out, layer["after_mlp"])

        embed = params["embed"]
        x = lookup(embed, ids) * jnp.asarray(self.width**0.5, embed.dtype)
        sliding = jnp.arange(self.depth) % 2 == 0
        x = scan_layers(step, (params["layers"], sliding), x)
        return norm(x, params["norm"]).astype(jnp.float32)
