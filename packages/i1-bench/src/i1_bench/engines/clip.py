"""CLIP features through transformers, and CLIPScore as a judge."""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from i1_hooks import UserError
from PIL import Image

from i1_bench.cvtg.scoring import clip_scores
from i1_bench.judges import Judge, JudgeConfig, Picture, SimilarityJudge


class Clip:
    """A CLIP model.

    Args:
        name: a repository or folder.
        device: where torch runs it.

    Raises:
        UserError: when torch or transformers is not installed, or the weights cannot be had.
    """

    def __init__(self, name: str, device: str) -> None:
        try:
            import torch  # pyright: ignore[reportMissingImports] (an extra)
            import transformers  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            if error.name not in ("torch", "transformers"):
                raise
            raise UserError("CLIP needs torch and transformers: pip install 'i1-bench[torch]'") from error
        try:
            model = transformers.CLIPModel.from_pretrained(name)
            processor = transformers.CLIPProcessor.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise UserError(f"cannot load CLIP {name}: {error}") from error
        self._torch: Any = torch
        self._model: Any = model.eval().to(device)
        self._processor: Any = processor
        self._device = device

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the normalised features of texts, cut at 77 tokens, float32 (n, d)."""
        inputs = self._processor(
            text=list(texts), return_tensors="pt", padding=True, truncation=True, max_length=77
        ).to(self._device)
        with self._torch.no_grad():
            hidden = self._model.text_model(**inputs).pooler_output
            features = self._model.text_projection(hidden)
        return _normalised(features)

    def images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the normalised features of pictures, uint8 (height, width, 3) each, float32 (n, d)."""
        inputs = self._processor(images=[Image.fromarray(i) for i in images], return_tensors="pt").to(
            self._device
        )
        with self._torch.no_grad():
            hidden = self._model.vision_model(pixel_values=inputs["pixel_values"]).pooler_output
            features = self._model.visual_projection(hidden)
        return _normalised(features)


def _normalised(features: Any) -> np.ndarray:
    values = features.float().cpu().numpy()
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class ClipScore(JudgeConfig):
    """CLIPScore, `2.5 max(cos, 0)`.

    Source: https://arxiv.org/abs/2104.08718

    Attributes:
        clip: a repository or folder.
        device: where torch runs it.
    """

    clip: str = "openai/clip-vit-large-patch14"
    device: str = "cpu"

    def build(self) -> Judge:
        """Returns the judge; raises as `Clip`."""
        return ClipScoreJudge(self)

    def unrecorded(self) -> frozenset[str]:
        """Returns the fields that answers hardly depend on."""
        return frozenset({"device"})


class ClipScoreJudge(SimilarityJudge):
    """The judge of a `ClipScore`."""

    def __init__(self, config: ClipScore) -> None:
        self._clip = Clip(config.clip, config.device)
        self._lock = threading.Lock()

    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns the CLIPScore of a picture and a text."""
        with self._lock:
            return float(clip_scores(self._clip.images([picture.pixels]), self._clip.texts([question]))[0])

    def versions(self) -> dict[str, str]:
        """Returns the versions of torch and transformers."""
        return {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
