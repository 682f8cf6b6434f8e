"""The text tower of Qwen3-VL: the layers of Qwen3, without images its positions are the ordinary ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from i1_model.text_encoders.decoder_family import layer_settings
from i1_model.text_encoders.pretrained import require
from i1_model.text_encoders.qwen3 import WIDE, Qwen3Encoder


@dataclass(frozen=True, kw_only=True)
class Qwen3VLEncoder(Qwen3Encoder):
    """Configuration of the text tower of Qwen3-VL; fields as for Qwen3."""

    repository: str = "Qwen/Qwen3-VL-2B-Instruct"
    theta: float = 5e6

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "2b": {},
        "4b": {"repository": "Qwen/Qwen3-VL-4B-Instruct", **WIDE},
    }
    prefixes: ClassVar[tuple[str, ...]] = ("model.language_model.", "language_model.", "")
    ignored: ClassVar[str] = r"(model\.)?visual\..*|lm_head\..*"

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines."""
        require("model_type", data.get("model_type"), "qwen3_vl", "qwen3_vl_text")
        data = data.get("text_config", data)
        require("hidden_act", data["hidden_act"], "silu")
        # Its rotary channels are shared among time, row and column, which are all equal for text.
        rope = data.get("rope_parameters") or data
        return {**layer_settings(data), "theta": float(rope["rope_theta"])}
