"""RapidOCR: an OCR engine whose models come inside its package."""

from __future__ import annotations

import importlib.metadata
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from i1_hooks import UserError

from i1_bench.judges import Judge, JudgeConfig, OcrJudge, Picture


@dataclass(frozen=True, kw_only=True)
class RapidOcr(JudgeConfig):
    """PP-OCRv6 small through rapidocr on the CPU, offline: a variant of the judge of CVTG-2K.

    The published judge is PaddleOCR 2.10 with other models.

    Attributes:
        min_score: lines that the recogniser is less sure of are dropped.
    """

    min_score: float = 0.5

    def build(self) -> Judge:
        """Returns the judge.

        Raises:
            UserError: when rapidocr is not installed.
        """
        return RapidOcrJudge(self)


class RapidOcrJudge(OcrJudge):
    """The judge of a `RapidOcr`."""

    def __init__(self, config: RapidOcr) -> None:
        try:
            import rapidocr  # pyright: ignore[reportMissingImports] (an extra)
        except ModuleNotFoundError as error:
            if error.name not in ("rapidocr", "onnxruntime"):
                raise
            raise UserError("reading text needs rapidocr: pip install 'i1-bench[ocr]'") from error
        self._engine: Any = rapidocr.RapidOCR(
            params={"Global.text_score": config.min_score, "Global.log_level": "critical"}
        )
        self._lock = threading.Lock()

    def read(self, picture: Picture) -> list[str]:
        """Returns the lines of text, from top to bottom as the engine orders them."""
        with self._lock:
            found = self._engine(np.ascontiguousarray(picture.pixels[..., ::-1]))  # BGR
        return [str(line) for line in found.txts or ()]

    def versions(self) -> dict[str, str]:
        """Returns the versions of rapidocr and onnxruntime."""
        return {name: importlib.metadata.version(name) for name in ("rapidocr", "onnxruntime")}
