"""The text encoder of T5Gemma 2: Gemma 3 layers that see the whole prompt.

See https://huggingface.co/docs/transformers/model_doc/t5gemma2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Float

from i1_model.text_encoders import gemma
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import attend, dense, scan_layers
from i1_model.text_encoders.decoder_family import DecoderFamilyEncoder, layer_settings, rotate_both
from i1_model.text_encoders.pretrained import arrays, require
from i1_model.text_encoders.weights import Layout, Stored


@dataclass(frozen=True, kw_only=True)
class T5Gemma2Encoder(DecoderFamilyEncoder):
    """Configuration of a T5Gemma 2 text encoder; the defaults are those of 1B.

    Prompts get neither a first nor a last token, as for T5Gemma. Padded positions attend to the valid ones.

    Attributes:
        query_scalar: the logits are divided by its square root.
        full_every: every so many layers, the last one sees all keys, the others those in the window.
        sliding_window: w of the window: keys less than (w + 1) // 2 before a query and less than w // 2 + 1
            after it.
        full_theta: rotary base of the layers that see all keys.
        full_factor: divides the positions in these layers.
        sliding_theta: rotary base of the other layers.
        image_end_id: the token whose embedding is stored apart, and not scaled.
    """

    repository: str = "google/t5gemma-2-1b-1b"
    num_tokens: int = 256
    width: int = 1152
    ffn_width: int = 6912
    depth: int = 26
    num_heads: int = 4
    num_kv_heads: int = 1
    head_dim: int = 256
    vocab_size: int = 262144
    query_scalar: int = 256
    full_every: int = 6
    sliding_window: int = 512
    full_theta: float = 1e6
    full_factor: float = 8.0
    sliding_theta: float = 1e4
    image_end_id: int = 256000

    licence: ClassVar[str] = "Gemma Terms of Use"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "1b": {},
        "4b": {
            "repository": "google/t5gemma-2-4b-4b",
            "width": 2560,
            "ffn_width": 10240,
            "depth": 34,
            "num_heads": 8,
            "num_kv_heads": 4,
            "sliding_window": 1024,
        },
    }
    prefixes: ClassVar[tuple[str, ...]] = (
        "model.encoder.text_model.",
        "model.encoder.",
        "encoder.text_model.",
        "encoder.",
        "text_model.",
        "",
    )
    ignored: ClassVar[str] = (
        r"(model\.)?decoder\..*|lm_head\..*|((model\.)?encoder\.)?(vision_tower|multi_modal_projector)\..*"
    )
    width_norms: ClassVar[Mapping[str, str]] = gemma.WIDTH_NORMS
    head_norms: ClassVar[Mapping[str, str]] = {"q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"}

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "t5gemma2")
        encoder = data["encoder"]
        data = encoder["text_config"]
        require("hidden_activation", data["hidden_activation"], "gelu_pytorch_tanh")
        require("attn_logit_softcapping", data.get("attn_logit_softcapping"), None)
        sizes = layer_settings(data)
        types = data["layer_types"]
        every = types.index("full_attention") + 1 if "full_attention" in types else len(types) + 1
        pattern = [_layer_type(layer, every) for layer in range(sizes["depth"])]
        require("layer_types", types, pattern)
        full, sliding = (data["rope_parameters"][name] for name in ("full_attention", "sliding_attention"))
        require("rope_type of full_attention", full["rope_type"], "default", "linear")
        require("rope_type of sliding_attention", sliding["rope_type"], "default")
        return {
            **sizes,
            "query_scalar": data["query_pre_attn_scalar"],
            "full_every": every,
            "sliding_window": data["sliding_window"],
            "full_theta": float(full["rope_theta"]),
            "full_factor": float(full["factor"]) if full["rope_type"] == "linear" else 1.0,
            "sliding_theta": float(sliding["rope_theta"]),
            "image_end_id": encoder["eoi_token_index"],
        }

    def layout(self) -> Layout:
        """Returns the stored name and shape of each parameter."""
        return {**super().layout(), "image_end": Stored("embed_tokens.eoi_embedding", (self.width,))}

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32 and `mask` (B, T) bool.

        Returns:
            (B, T, W) float32.
        """
        ids, mask = arrays(tokens)
        places = jnp.arange(ids.shape[1], dtype=jnp.int32)
        ahead = places[None] - places[:, None]
        window = self.sliding_window
        near = (ahead > -((window + 1) // 2)) & (ahead < window // 2 + 1)
        everywhere = jnp.broadcast_to(mask[:, None, :], (*ids.shape, ids.shape[1]))
        positions = jnp.broadcast_to(places.astype(jnp.float32)[None], ids.shape)

        def attention(x: jax.Array, weights: Any, full: jax.Array) -> jax.Array:
            q, k, v = self.project(x, weights)
            q, k = (gemma.norm(y, weights[f"{name}_norm"], self.eps) for name, y in (("q", q), ("k", k)))
            theta = jnp.where(full, self.full_theta, self.sliding_theta)
            q, k = rotate_both(q, k, positions / jnp.where(full, self.full_factor, 1.0), theta)
            out = attend(q, k, v, everywhere & (near | full)[None], scale=self.query_scalar**-0.5)
            return dense(out, weights["o"])

        def step(x: jax.Array, inputs: Any) -> jax.Array:
            weights, full = inputs
            return gemma.layer(x, weights, lambda y: attention(y, weights, full), self.eps)

        full = jnp.arange(1, self.depth + 1) % self.full_every == 0
        x = gemma.embed(params["embed"], ids)
        x = jnp.where((ids == self.image_end_id)[..., None], params["image_end"][None, None], x)
        x = scan_layers(step, (params["layers"], full), x)
        return gemma.norm(x, params["norm"], self.eps).astype(jnp.float32)


def _layer_type(layer: int, full_every: int) -> str:
    return "sliding_attention" if (layer + 1) % full_every else "full_attention"
