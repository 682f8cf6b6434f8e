"""Configuration of LoRA: the adapted layers, and the form of the frozen parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from i1_hooks import UserError

from i1_model.layers.quantized import QuantizationName


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adaptation (arXiv 2106.09685), without dropout.

    Attributes:
        rank: the rank of the sum to each matrix; 0 for no adaptation.
        alpha: the addition is multiplied by alpha / rank; None for the rank.
        targets: regular expressions; a layer is adapted when one of them matches in full its released name
            (`blocks_0/attn/qkv_image`), its name in PyTorch (`in_blocks.0.attn.qkv_image`) or its path in
            the module (`backbone/blocks/stacked_in/attn/qkv_image`).
        base_dtype: the dtype of the frozen matrices; trained ones stay float32.
        quantization: the quantisation of the frozen matrices, by qwix (`pip install 'i1-model[quantized]'`).

    Raises:
        UserError: for a number out of range, no targets, or a target that is not a regular expression.
    """

    rank: int = 0
    alpha: float | None = None
    targets: tuple[str, ...] = (r"blocks_\d+/.*",)
    base_dtype: Literal["float32", "bfloat16"] = "bfloat16"
    quantization: QuantizationName = "none"

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise UserError(f"lora.rank must be 0 (none) or more, got {self.rank}")
        if self.alpha is not None and self.alpha <= 0:
            raise UserError(f"lora.alpha must be above 0, or null for the rank, got {self.alpha}")
        if not self.targets:
            raise UserError("lora.targets is empty; name at least one pattern, as in 'blocks_.*'")
        for pattern in self.targets:
            try:
                re.compile(pattern)
            except re.error as error:
                raise UserError(f"lora.targets: {pattern!r} is not a regular expression: {error}") from error

    @property
    def is_on(self) -> bool:
        """Whether anything is adapted."""
        return self.rank > 0

    @property
    def scale(self) -> float:
        """The factor of the addition."""
        return 1.0 if self.alpha is None else self.alpha / self.rank
