"""The encoder of T5Gemma: Gemma 2 layers that see the whole prompt (arXiv 2504.06225)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Float

from i1_model.text_encoders import gemma
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import attend, dense, scan_layers
from i1_model.text_encoders.decoder_family import DecoderFamilyEncoder, layer_settings, rotate_both
from i1_model.text_encoders.pretrained import arrays, require, rope_theta

_9B: Mapping[str, Any] = {"width": 3584, "ffn_width": 14336, "depth": 42, "num_heads": 16, "num_kv_heads": 8}


@dataclass(frozen=True, kw_only=True)
class T5GemmaEncoder(DecoderFamilyEncoder):
    """Configuration of a T5Gemma encoder; the defaults are those of i1.

    Prompts get neither a first nor a last token, and an empty prompt has an all-false mask.

    Attributes:
        query_scalar: the logits are divided by its square root.
        softcap: of the attention logits.
        sliding_window: even layers see keys nearer than this, odd ones all.
        theta: rotary base.
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
    width_norms: ClassVar[Mapping[str, str]] = gemma.WIDTH_NORMS

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "t5gemma")
        data = data["encoder"]
        require("hidden_activation", data["hidden_activation"], "gelu_pytorch_tanh")
        sizes = layer_settings(data)
        alternating = (["sliding_attention", "full_attention"] * sizes["depth"])[: sizes["depth"]]
        require("layer_types", data.get("layer_types", alternating), alternating)
        return {
            **sizes,
            "query_scalar": data["query_pre_attn_scalar"],
            "softcap": data["attn_logit_softcapping"],
            "sliding_window": data["sliding_window"],
            "theta": rope_theta(data),
        }

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
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

        def attention(x: jax.Array, weights: Any, sliding: jax.Array) -> jax.Array:
            q, k, v = self.project(x, weights)
            q, k = rotate_both(q, k, positions, self.theta)
            allowed = everywhere & (near | ~sliding)[None]
            out = attend(q, k, v, allowed, scale=self.query_scalar**-0.5, softcap=self.softcap)
            if self.padding_queries == "zero":
                out = out * mask[..., None].astype(out.dtype)
            return dense(out, weights["o"])

        def step(x: jax.Array, inputs: Any) -> jax.Array:
            weights, sliding = inputs
            return gemma.layer(x, weights, lambda y: attention(y, weights, sliding), self.eps)

        sliding = jnp.arange(self.depth) % 2 == 0
        x = scan_layers(step, (params["layers"], sliding), gemma.embed(params["embed"], ids))
        return gemma.norm(x, params["norm"], self.eps).astype(jnp.float32)
