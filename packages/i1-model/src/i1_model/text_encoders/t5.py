"""The encoder of T5 v1.1 (arXiv 1910.10683, 2002.05202): relative positions, gated GELU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from i1_model.ops.sharding import lookup
from i1_model.text_encoders.base import Tokens
from i1_model.text_encoders.blocks import (
    attend,
    dense,
    gated,
    rms_norm,
    scan_layers,
    split_heads,
    tanh_gelu,
)
from i1_model.text_encoders.pretrained import PretrainedEncoder, arrays, require
from i1_model.text_encoders.tokenizer import PromptTokenizer
from i1_model.text_encoders.weights import Layout, Stored


@dataclass(frozen=True, kw_only=True)
class T5Encoder(PretrainedEncoder):
    """Configuration of a T5 v1.1 encoder; the defaults are those of the largest, XXL.

    A prompt is followed by the end token.

    Attributes:
        ffn_width: inner width of the gated feed-forward network.
        depth: number of layers.
        num_heads: number of attention heads.
        head_dim: channels of one head.
        num_buckets: number of buckets of relative distances.
        max_distance: the smallest distance in the last bucket, with all larger ones.
        eps: epsilon of the norms.
        vocab_size: rows of the embedding table.
        end_id: the end token.
    """

    repository: str = "google/t5-v1_1-xxl"
    num_tokens: int = 120
    width: int = 4096
    ffn_width: int = 10240
    depth: int = 24
    num_heads: int = 64
    head_dim: int = 64
    num_buckets: int = 32
    max_distance: int = 128
    eps: float = 1e-6
    vocab_size: int = 32128
    end_id: int = 1

    licence: ClassVar[str] = "Apache-2.0"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {
            "repository": f"google/t5-v1_1-{name}",
            "width": width,
            "ffn_width": ffn,
            "depth": depth,
            "num_heads": heads,
        }
        for name, width, ffn, depth, heads in (
            ("small", 512, 1024, 8, 6),
            ("base", 768, 2048, 12, 12),
            ("large", 1024, 2816, 24, 16),
            ("xl", 2048, 5120, 24, 32),
            ("xxl", 4096, 10240, 24, 64),
        )
    }
    ignored: ClassVar[str] = r"decoder\..*|lm_head\..*"

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "t5")
        require("feed_forward_proj", data["feed_forward_proj"], "gated-gelu")
        return {
            "width": data["d_model"],
            "ffn_width": data["d_ff"],
            "depth": data["num_layers"],
            "num_heads": data["num_heads"],
            "head_dim": data["d_kv"],
            "num_buckets": data["relative_attention_num_buckets"],
            "max_distance": data.get("relative_attention_max_distance", 128),
            "eps": data["layer_norm_epsilon"],
            "vocab_size": data["vocab_size"],
            "pad_id": data["pad_token_id"],
            "end_id": data["eos_token_id"],
        }

    def layout(self) -> Layout:
        """Returns the stored name and shape of each parameter."""
        width, inner = self.width, self.num_heads * self.head_dim

        def layer(name: str, *shape: int) -> Stored:
            return Stored(f"encoder.block.{{}}.layer.{name}.weight", shape, self.depth)

        return {
            "embed": Stored(
                "shared.weight", (self.vocab_size, width), alternative="encoder.embed_tokens.weight"
            ),
            "distances": Stored(
                "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                (self.num_buckets, self.num_heads),
            ),
            "layers": {
                "q": layer("0.SelfAttention.q", inner, width),
                "k": layer("0.SelfAttention.k", inner, width),
                "v": layer("0.SelfAttention.v", inner, width),
                "o": layer("0.SelfAttention.o", width, inner),
                "before_attention": layer("0.layer_norm", width),
                "gate": layer("1.DenseReluDense.wi_0", self.ffn_width, width),
                "up": layer("1.DenseReluDense.wi_1", self.ffn_width, width),
                "down": layer("1.DenseReluDense.wo", width, self.ffn_width),
                "before_mlp": layer("1.layer_norm", width),
            },
            "norm": Stored("encoder.final_layer_norm.weight", (width,)),
        }

    def make_tokenizer(self, tokenizer: Any) -> PromptTokenizer:
        """Returns what turns prompts into ids, given a `tokenizers.Tokenizer`."""
        return PromptTokenizer(
            tokenizer, self.num_tokens, after=[self.end_id], pad_id=self.pad_id, truncation=self.truncation
        )

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32 and `mask` (B, T) bool.

        Returns:
            (B, T, W) float32; padded positions attend to the valid ones.
        """
        ids, mask = arrays(tokens)
        length = ids.shape[1]
        allowed = jnp.broadcast_to(mask[:, None, :], (*ids.shape, length))
        places = np.arange(length)
        buckets = distance_buckets(places[None] - places[:, None], self.num_buckets, self.max_distance)
        bias = jnp.moveaxis(params["distances"][buckets], -1, 0).astype(jnp.float32)

        def step(x: jax.Array, layer: Any) -> jax.Array:
            inner = rms_norm(x, layer["before_attention"], self.eps)
            q, k, v = (split_heads(dense(inner, layer[name]), self.head_dim) for name in "qkv")
            x = x + dense(attend(q, k, v, allowed, scale=1.0, bias=bias), layer["o"])
            inner = rms_norm(x, layer["before_mlp"], self.eps)
            return x + gated(inner, layer, tanh_gelu)

        x = scan_layers(step, params["layers"], lookup(params["embed"], ids))
        return rms_norm(x, params["norm"], self.eps).astype(jnp.float32)


def distance_buckets(distance: np.ndarray, num_buckets: int, max_distance: int) -> np.ndarray:
    """Returns the bucket of each signed distance from query to key.

    Half of the buckets are for keys after the query. In each half, the first buckets hold one distance each,
    and the others hold ranges up to `max_distance` that grow logarithmically.

    Args:
        distance: int array, key place minus query place.
        num_buckets: number of buckets.
        max_distance: the smallest distance in the last bucket, with all larger ones.
    """
    half = num_buckets // 2
    exact = half // 2
    size = np.abs(distance)
    # In float32, as trained: at the borders of buckets its rounding decides.
    ratio = np.log(np.maximum(size, 1).astype(np.float32) / exact) / np.float32(np.log(max_distance / exact))
    far = np.minimum(exact + (ratio * (half - exact)).astype(np.int32), half - 1)
    return np.where(distance > 0, half, 0) + np.where(size < exact, size, far)
