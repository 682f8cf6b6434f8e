"""Qwen3 as a text encoder (arXiv 2505.09388): causal, last hidden state, the prompt in the chat template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Float

from i1_model.ops.sharding import lookup
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import attend, causal, dense, gated, rms_norm, scan_layers
from i1_model.text_encoders.decoder_family import DecoderFamilyEncoder, layer_settings, rotate_both
from i1_model.text_encoders.pretrained import arrays, require, rope_theta
from i1_model.text_encoders.tokenizer import PromptTokenizer

WIDE: Mapping[str, Any] = {"width": 2560, "ffn_width": 9728, "depth": 36, "num_heads": 32}
"""The sizes of the 4B models."""


@dataclass(frozen=True, kw_only=True)
class Qwen3Encoder(DecoderFamilyEncoder):
    """Configuration of a Qwen3 encoder.

    A prompt stands in the chat template, between `before` and `after`. With a system prompt, its message
    comes first, on top of the budget, and its embeddings are dropped.

    Attributes:
        theta: rotary base.
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
    width_norms: ClassVar[Mapping[str, str]] = {
        "before_attention": "input_layernorm",
        "before_mlp": "post_attention_layernorm",
    }
    head_norms: ClassVar[Mapping[str, str]] = {"q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"}

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "qwen3")
        require("hidden_act", data["hidden_act"], "silu")
        require("use_sliding_window", data.get("use_sliding_window", False), False)
        return {**layer_settings(data), "theta": rope_theta(data)}

    def make_tokenizer(self, tokenizer: Any) -> PromptTokenizer:
        """Returns what turns prompts into ids, given a `tokenizers.Tokenizer`."""
        system = "" if self.system is None else f"<|im_start|>system\n{self.system}<|im_end|>\n"
        dropped, before, after = (
            tokenizer.encode(text, add_special_tokens=False).ids for text in (system, self.before, self.after)
        )
        return PromptTokenizer(
            tokenizer,
            self.num_tokens,
            before=before,
            after=after,
            pad_id=self.pad_id,
            dropped=dropped,
            truncation=self.truncation,
        )

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
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
            q, k, v = self.project(inner, layer)
            q, k = rms_norm(q, layer["q_norm"], self.eps), rms_norm(k, layer["k_norm"], self.eps)
            q, k = rotate_both(q, k, positions, self.theta)
            x = x + dense(attend(q, k, v, allowed, scale=self.head_dim**-0.5), layer["o"])
            inner = rms_norm(x, layer["before_mlp"], self.eps)
            return x + gated(inner, layer, jax.nn.silu)

        x = scan_layers(step, params["layers"], lookup(params["embed"], ids))
        x = rms_norm(x, params["norm"], self.eps)
        return x[:, num_dropped:].astype(jnp.float32)
