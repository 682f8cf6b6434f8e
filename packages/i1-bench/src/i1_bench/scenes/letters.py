"""Reading of a written word: letters are regions, compared with the glyphs of Pillow's built-in font."""

from __future__ import annotations

import functools

import numpy as np

from i1_bench.scenes.drawing import FINE, canonical_letter
from i1_bench.scenes.regions import CONTRAST, Region
from i1_bench.scenes.templates import letter_bank

MIN_SIMILARITY = 0.80
"""Cosine similarity with the best glyph below which a region is no letter."""
LEVEL = 0.3
"""Coverage that connects strokes; between letters it is lower, even in a slightly blurred picture."""
SOFTNESS = 2.0
"""Pixels from background to ink in the glyphs: between a sharp and a slightly blurred picture."""
MIN_CONTRAST = 26.0
"""RGB distance that noise hardly reaches; thin strokes of a pale colour are not much further away."""
UNREADABLE = "?"
"""Stands for a region that is no letter."""
_SCALES = (0.88, 0.94, 1.0, 1.06, 1.12)


@functools.cache
def _capital_height() -> float:
    rows = np.nonzero(canonical_letter("H").any(1))[0]
    return (np.ptp(rows) + 1) / FINE


def contrast(picture: np.ndarray, ground: np.ndarray) -> float:
    """Returns the RGB distance from the background where strokes start: 0.3 of the distance of dark strokes.

    Args:
        picture: float32 (height, width, 3), RGB from 0 to 255.
        ground: RGB of the background.
    """
    distance = np.linalg.norm(picture - ground, axis=-1)
    strokes = distance[distance > CONTRAST]
    if not len(strokes):
        return CONTRAST
    return float(np.clip(LEVEL * np.percentile(strokes, 75), MIN_CONTRAST, CONTRAST))


def similarities(region: Region, size: float) -> np.ndarray:
    """Returns the cosine similarity of a region with every letter at a font size in pixels, (26,)."""
    height, width = region.coverage.shape
    columns = np.arange(width) + 0.5 + region.left - region.x
    rows = np.arange(height) + 0.5 + region.top - region.y
    glyphs = letter_bank().coverage(slice(None), size, columns, rows, softness=SOFTNESS)
    glyphs = glyphs.reshape(-1, height * width)
    here = region.coverage.ravel()
    return glyphs @ here / (np.linalg.norm(glyphs, axis=1) * np.linalg.norm(here) + 1e-9)


def read(letters: list[Region]) -> tuple[str, float]:
    """Returns the word that regions spell from left to right, and the similarity of its worst letter.

    All letters have one font size, found from their median height. What resembles no letter reads `?`.
    """
    ordered = sorted(letters, key=lambda region: region.x)
    size = float(np.median([region.height for region in ordered])) / _capital_height()
    tried = [np.stack([similarities(region, size * scale) for region in ordered]) for scale in _SCALES]
    table = max(tried, key=lambda table: float(table.max(1).sum()))
    names = letter_bank().names
    text = "".join(names[int(row.argmax())] if row.max() >= MIN_SIMILARITY else UNREADABLE for row in table)
    return text, float(table.max(1).min())


def one_line(letters: list[Region]) -> bool:
    """Returns whether the regions' centroids lie within half the median height of one another."""
    middles = np.array([region.y for region in letters])
    return bool(np.ptp(middles) <= 0.5 * np.median([region.height for region in letters]))
