"""Qwen3 as a text encoder (arXiv 2505.09388): causal, last hidden state, the prompt in the chat template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from i1_hooks import UserError

from i1_model.sharding import lookup
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import attend, causal, dense, rms_norm, rotate, scan_layers, split_heads
from i1_model.text_encoders.pretrained import PretrainedEncoder, arrays, require, rope_theta
from i1_model.text_encoders.tokenizer import PromptTokenizer
from i1_model.text_encoders.weights import Layout, Stored

WIDE: Mapping[str, Any] = {"width": 2560, "ffn_width": 9728, "depth": 36, "num_heads": 32}
"""The sizes of the 4B models."""


@dataclass(frozen=True, kw_only=True)
class Qwen3Encoder(PretrainedEncoder):
    """Configuration of a Qwen3 encoder.

    A prompt stands in the chat template, between `before` and `after`. With a system prompt, its message
    comes first, on top of the budget, and its embeddings are dropped.

    Attributes:
        ffn_width: of the gated feed-forward layer.
        depth: number of layers.
        num_heads: query heads.
        num_kv_heads: key and value heads.
        head_dim: channels of one head.
        theta: rotary base.
        eps: of the norms.
        vocab_size: rows of the embedding table.
        system: the system prompt; None for no system message.
        before: text before the prompt.
        after: text after the prompt.
    """

    repository: str = "Qwen/Qwen3-1.7B"
    num_tokens: int = 256
    width: int = 2048
    pad_id: int = 151643
    ffn_width: int = 6144
    depth: int = 28
    num_heads: int = 16
    num_kv_heads: int = 8
    head_dim: int = 128
    theta: float = 1e6
    eps: float = 1e-6
    vocab_size: int = 151936
    system: str | None = None
    before: str = "<|im_start|>user\n"
    after: str = "<|im_end|>\n<|im_start|>assistant\n"

    licence: ClassVar[str] = "Apache-2.0"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "1.7b": {},
        "4b-instruct-2507": {"repository": "Qwen/Qwen3-4B-Instruct-2507", "theta": 5e6, **WIDE},
    }
    prefixes: ClassVar[tuple[str, ...]] = ("model.", "")
    ignored: ClassVar[str] = r"lm_head\..*"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_heads % self.num_kv_heads:
            raise UserError(f"num_heads {self.num_heads} is no multiple of num_kv_heads {self.num_kv_heads}")

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "qwen3")
        require("use_sliding_window", data.get("use_sliding_window", False), False)
        return {**layer_settings(data), "theta": rope_theta(data)}

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
                "q_norm": layer("self_attn.q_norm", self.head_dim),
                "k_norm": layer("self_attn.k_norm", self.head_dim),
                "gate": layer("mlp.gate_proj", ffn, width),
                "up": layer("mlp.up_proj", ffn, width),
                "down": layer("mlp.down_proj", width, ffn),
                "before_attention": layer("input_layernorm", width),
                "before_mlp": layer("post_attention_layernorm", width),
            },
            "norm": Stored("norm.weight", (width,)),
        }

    def make_tokenizer(self, tokenizer: Any) -> PromptTokenizer:
        """Returns what turns prompts into ids, given a `tokenizers.Tokenizer`."""
        system = "" if self.system is None else f"<|im_start|>system\n{self.system}<|im_end|>\n"
        dropped, before, after = (
            tokenizer.encode(text, add_special_tokens=False).ids for text in (system, self.before, self.after)
        )
        return PromptTokenizer(
            tokenizer, self.num_tokens, before=before, after=after, pad_id=self.pad_id, dropped=dropped
        )

    def encode(self, params: Any, tokens: Tokens) -> jax.Array:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32, `mask` (B, T) bool, and with a system prompt `dropped` (B, D) int32.

        Returns:
            (B, T, W) float32.
        """
        ids, mask = arrays(tokens)
        num_dropped = 0
        if "dropped" in tokens:
            dropped = jnp.asarray(tokens["dropped"], jnp.int32)
            num_dropped = dropped.shape[1]
            ids = jnp.concatenate([dropped, ids], axis=1)
            mask = jnp.concatenate([jnp.ones(dropped.shape, bool), mask], axis=1)
        allowed = causal(mask)
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1], dtype=jnp.int32)[None], ids.shape)

        def step(x: jax.Array, layer: Any) -> jax.Array:
            inner = rms_norm(x, layer["before_attention"], self.eps)
            q, k, v = (split_heads(dense(inner, layer[name]), self.head_dim) for name in "qkv")
            q = rotate(rms_norm(q, layer["q_norm"], self.eps), positions, self.theta)
            k = rotate(rms_norm(k, layer["k_norm"], self.eps), positions, self.theta)
            x = x + dense(attend(q, k, v, allowed, scale=self.head_dim**-0.5), layer["o"])
            inner = rms_norm(x, layer["before_mlp"], self.eps)
            gate = jax.nn.silu(dense(inner, layer["gate"]))
            return x + dense(gate * dense(inner, layer["up"]), layer["down"])

        x = scan_layers(step, params["layers"], lookup(params["embed"], ids))
        x = rms_norm(x, params["norm"], self.eps)
        return x[:, num_dropped:].astype(jnp.float32)


def layer_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that the text part of a `config.json` determines, apart from the rotary base.

    Raises:
        KeyError: for an absent setting.
        UserError: for one that the encoder cannot do.
    """
    require("hidden_act", data["hidden_act"], "silu")
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
