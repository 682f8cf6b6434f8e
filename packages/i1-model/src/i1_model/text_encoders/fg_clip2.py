"""The text tower of FG-CLIP 2 (arXiv 2510.10921): SigLIP 2's, with further positions for long texts.

`transformers` has no FG-CLIP 2, but SigLIP 2, which this tower equals in both walks once its tables of
positions are put together. That is what the tests show. Not confirmed, for lack of the released files: sizes
other than the width, and whether FG-CLIP 2 itself was trained with padding in sight, as SigLIP 2 was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from i1_hooks import UserError
from jaxtyping import Float

from i1_model.ops.sharding import lookup
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import tanh_gelu
from i1_model.text_encoders.clip_family import CLIPFamilyEncoder, layer_settings
from i1_model.text_encoders.pretrained import arrays, require
from i1_model.text_encoders.tokenizer import PromptTokenizer
from i1_model.text_encoders.weights import Layout, Stored


@dataclass(frozen=True, kw_only=True)
class FGCLIP2Encoder(CLIPFamilyEncoder):
    """Configuration of an FG-CLIP 2 text tower; the defaults are those of So400m.

    A prompt is lower-cased and followed by the end token. Every token sees every other.

    Attributes:
        walk: `"short"` adds the table of `max_positions` rows; `"long"` adds two of `long_positions` rows,
            one to the first `kept_positions` places, the other to those after them.
        padding_keys: whether tokens see the padding: `"attend"`, as SigLIP 2 was trained, or `"hide"`.
        long_positions: rows of each table of the long walk.
        kept_positions: places of the first table of the long walk.
    """

    repository: str = "qihoo360/fg-clip2-so400m"
    num_tokens: int = 64
    width: int = 1152
    ffn_width: int = 4304
    depth: int = 27
    num_heads: int = 16
    eps: float = 1e-6
    max_positions: int = 64
    vocab_size: int = 256000
    end_id: int = 1
    walk: Literal["short", "long"] = "short"
    padding_keys: Literal["attend", "hide"] = "attend"
    long_positions: int = 196
    kept_positions: int = 20

    licence: ClassVar[str] = "Apache-2.0"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "so400m-short": {},
        "so400m-long": {"walk": "long", "num_tokens": 196},
    }
    prefixes: ClassVar[tuple[str, ...]] = ("text_model.", "")
    ignored: ClassVar[str] = (
        r"vision_model\..*|dense_feature_head\..*|(longtext|boxtext)_head\..*|(text_model\.)?head\..*"
        r"|logit_.*|.*\.position_ids"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = self.long_positions if self.walk == "long" else self.max_positions
        if self.num_tokens > rows:
            raise UserError(
                f"num_tokens {self.num_tokens} exceeds the {rows} positions of walk {self.walk!r}: use "
                + ("fewer" if self.walk == "long" else "walk 'long' or fewer")
            )

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "fgclip2", "fgclip2_text_model")
        data = data.get("text_config", data)
        require("hidden_act", data.get("hidden_act", "gelu_pytorch_tanh"), "gelu_pytorch_tanh")
        return {
            **layer_settings(data),
            "eps": data.get("layer_norm_eps", 1e-6),
            "max_positions": data.get("max_position_embeddings", 64),
            "vocab_size": data["vocab_size"],
            "long_positions": data.get("longtext_len", 196),
            "kept_positions": data.get("keep_len", 20),
        }

    def layout(self) -> Layout:
        """Returns where each parameter is stored."""

        def table(name: str) -> Stored:
            return Stored(f"embeddings.position_embedding_{name}.weight", (self.long_positions, self.width))

        return {**super().layout(), "long_first": table("ori"), "long_rest": table("res")}

    def make_tokenizer(self, tokenizer: Any) -> PromptTokenizer:
        """Returns what turns prompts into ids, given a `tokenizers.Tokenizer`."""
        return PromptTokenizer(
            tokenizer,
            self.num_tokens,
            after=[self.end_id],
            pad_id=self.pad_id,
            lower_case=True,
            truncation=self.truncation,
        )

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32 and `mask` (B, T) bool, T at most the positions of the walk.

        Returns:
            (B, T, W) float32.
        """
        ids, mask = arrays(tokens)
        length = ids.shape[1]
        keys = mask if self.padding_keys == "hide" else jnp.ones_like(mask)
        allowed = jnp.broadcast_to(keys[:, None, :], (*ids.shape, length))
        positions = params["positions"]
        if self.walk == "long":
            kept = self.kept_positions
            positions = jnp.concatenate([params["long_first"][:kept], params["long_rest"][kept:]])
        x = lookup(params["embed"], ids) + positions[None, :length]
        return self.transform(params, x, allowed, tanh_gelu)
