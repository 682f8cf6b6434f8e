"""Word accuracy, edit similarity and CLIPScore of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from i1_bench.cvtg.words import Reading

CLIP_PREFIX = "A photo depicts "
"""Precedes the original prompt in the text that CLIP compares a picture with."""
_CLIP_WEIGHT = 2.5


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a set of pictures amounts to.

    Attributes:
        images: pictures judged.
        words: words asked for.
        correct: words read.
        similarity: the sum of the words' similarities.
        word_accuracy: correct words over all words; 0 without words.
        ned: the mean similarity of all words; 0 without words.
        clip_score: the mean CLIPScore of the pictures that have one; None when none has.
    """

    images: int
    words: int
    correct: int
    similarity: float
    word_accuracy: float
    ned: float
    clip_score: float | None


def total(readings: Sequence[Reading], clip_scores: Sequence[float] = ()) -> Totals:
    """Adds up pictures; every word counts the same, wherever it stands.

    Args:
        readings: one for each picture.
        clip_scores: CLIPScores of the pictures.
    """
    words = sum(reading.total for reading in readings)
    correct = sum(reading.correct for reading in readings)
    similarity = sum(sum(reading.similarities) for reading in readings)
    return Totals(
        images=len(readings),
        words=words,
        correct=correct,
        similarity=similarity,
        word_accuracy=correct / words if words else 0.0,
        ned=similarity / words if words else 0.0,
        clip_score=sum(clip_scores) / len(clip_scores) if clip_scores else None,
    )


def clip_scores(image_features: np.ndarray, text_features: np.ndarray) -> np.ndarray:
    """Returns `2.5 max(cos(image, text), 0)` of each pair, float (n,).

    Args:
        image_features: (n, d).
        text_features: (n, d), of `CLIP_PREFIX` followed by the prompt.
    """
    image, text = (
        features / np.linalg.norm(features, axis=-1, keepdims=True)
        for features in (image_features, text_features)
    )
    return _CLIP_WEIGHT * np.maximum((image * text).sum(-1), 0)
