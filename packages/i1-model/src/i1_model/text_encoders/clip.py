"""The text tower of CLIP (arXiv 2103.00020): causal, learned positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
from i1_hooks import UserError
from jaxtyping import Float

from i1_model.ops.sharding import lookup
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import causal
from i1_model.text_encoders.clip_family import CLIPFamilyEncoder, layer_settings
from i1_model.text_encoders.pretrained import arrays, require
from i1_model.text_encoders.tokenizer import PromptTokenizer


@dataclass(frozen=True, kw_only=True)
class CLIPEncoder(CLIPFamilyEncoder):
    """Configuration of a CLIP text tower; the defaults are those of ViT-L/14.

    A prompt stands between the start and the end token; the end token also pads.

    Attributes:
        activation: of the feed-forward layer; `"quick_gelu"` is `x sigmoid(1.702 x)`.
        max_positions: rows of the position table, an upper limit of `num_tokens`.
        start_id: the start token.
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

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "clip", "clip_text_model")
        data = data.get("text_config", data)
        activation = data.get("hidden_act", "quick_gelu")
        require("hidden_act", activation, "quick_gelu", "gelu")
        return {
            **layer_settings(data),
            "activation": activation,
            "eps": data.get("layer_norm_eps", 1e-5),
            "max_positions": data.get("max_position_embeddings", 77),
            "vocab_size": data.get("vocab_size", 49408),
        }

    def make_tokenizer(self, tokenizer: Any) -> PromptTokenizer:
        """Returns what turns prompts into ids, given a `tokenizers.Tokenizer`."""
        return PromptTokenizer(
            tokenizer,
            self.num_tokens,
            before=[self.start_id],
            after=[self.end_id],
            pad_id=self.pad_id,
            truncation=self.truncation,
        )

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32 and `mask` (B, T) bool, T at most `max_positions`.

        Returns:
            (B, T, W) float32.
        """
        ids, mask = arrays(tokens)
        x = lookup(params["embed"], ids) + params["positions"][None, : ids.shape[1]]
        return self.transform(params, x, causal(mask), self._activate)

    def _activate(self, x: jax.Array) -> jax.Array:
        if self.activation == "quick_gelu":
            return x * jax.nn.sigmoid(1.702 * x)
        return jax.nn.gelu(x, approximate=False)
