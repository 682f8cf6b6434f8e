"""The 26 capital letters as masks, in Pillow's built-in font."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CELL = 16
"""Height and width in pixels of the cell of a letter in a scene."""
FONT_SIZE = 15
"""Pixels to the em of the letters in a scene."""
_BASELINE = 3
"""Pixels from the baseline to the bottom of the cell."""
_EM_BASELINE = 0.75
"""From the top of the em square to the baseline, as a share of the em."""


@functools.cache
def letter_mask(letter: str, em: int, margin: int = 0) -> np.ndarray:
    """Returns the mask of a letter, bool (em + 2 margin, em + 2 margin).

    Args:
        letter: one of `ALPHABET`.
        em: pixels across the em square, in the middle of which the letter stands.
        margin: pixels on each side of that square.
    """
    side = em + 2 * margin
    canvas = Image.new("L", (side, side))
    font = ImageFont.load_default(size=em)
    baseline = margin + round(_EM_BASELINE * em)
    ImageDraw.Draw(canvas).text((side / 2, baseline), letter, fill=255, font=font, anchor="ms")
    return np.asarray(canvas) > 127


@functools.cache
def letter_coverage(letter: str) -> np.ndarray:
    """Returns the coverage of a letter in its cell of a scene, float32 (CELL, CELL) in [0, 1]."""
    canvas = Image.new("L", (CELL, CELL))
    font = ImageFont.load_default(size=FONT_SIZE)
    left, _, right, _ = font.getbbox(letter)
    x = (CELL - (right - left)) / 2 - left
    ImageDraw.Draw(canvas).text((x, CELL - _BASELINE), letter, fill=255, font=font, anchor="ls")
    return np.asarray(canvas, np.float32) / 255
