"""How many text tokens a backbone gets: the padding at their end is dropped, into a few lengths.

A prompt of 40 tokens of 256 needs 64. The adapter attends padding, so tokens are dropped after it; behind it
they are masked, and the result is the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from i1_model.config import ModelConfig

SHORTEST = 32
"""Tokens that are never dropped; lengths are this number doubled until the prompt fits."""


def text_lengths(
    config: ModelConfig, masks: Sequence[np.ndarray], negative_masks: Sequence[np.ndarray] = ()
) -> tuple[int, ...] | None:
    """Returns how many adapted tokens of every text encoder the backbone needs, None for all.

    Where there are several encoders only those of the last are dropped, since the positions of its tokens
    follow from the number of those before. A prompt without any valid token keeps all.

    Args:
        config: the model.
        masks: (P, T) bool of every text encoder.
        negative_masks: of the negative prompts; empty without any.
    """
    if not config.backbone.ignores_padding:
        return None
    valid = [np.asarray(mask, bool) for mask in masks]
    if negative_masks:
        valid = [np.concatenate(pair) for pair in zip(valid, negative_masks, strict=True)]
    if not np.concatenate(valid, axis=1).any(axis=1).all():
        return None
    used = np.flatnonzero(valid[-1].any(axis=0))
    needed, whole = int(used[-1]) + 1 if used.size else 1, valid[-1].shape[1]
    length = SHORTEST
    while length < needed:
        length *= 2
    if length >= whole:
        return None
    return (*(mask.shape[1] for mask in valid[:-1]), length)
