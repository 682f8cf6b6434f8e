"""The six shapes as masks."""

from __future__ import annotations

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

_SUPERSAMPLING = 8
_RING_WIDTH = 1 / 4
_ARM_INSET = 41 / 128
"""From the side of a cross to its arms, as a share of its size."""
_STAR_DEPTH = 0.45
"""Radius of the inner corners of a star, as a share of the outer radius."""


@functools.cache
def shape_mask(shape: str, size: int, margin: int = 0) -> np.ndarray:
    """Returns the mask of a shape, bool (size + 2 margin, size + 2 margin).

    Args:
        shape: one of `vocabulary.SHAPES`.
        size: pixels across the square that the shape fills.
        margin: empty pixels on each side of that square.
    """
    canvas = Image.new("1", (size + 2 * margin, size + 2 * margin))
    draw = ImageDraw.Draw(canvas)
    first, last, middle = margin, margin + size - 1, margin + size / 2
    if shape in ("circle", "ring"):
        draw.ellipse((first, first, last, last), fill=1)
        if shape == "ring":
            width = _RING_WIDTH * size
            draw.ellipse((first + width, first + width, last - width, last - width), fill=0)
    elif shape == "square":
        draw.rectangle((first, first, last, last), fill=1)
    elif shape == "triangle":
        draw.polygon([(middle, first), (last, last), (first, last)], fill=1)
    elif shape == "star":
        draw.polygon(_star(middle, size / 2), fill=1)
    else:
        assert shape == "cross", shape
        near, far = first + _ARM_INSET * size, last - _ARM_INSET * size
        draw.rectangle((near, first, far, last), fill=1)
        draw.rectangle((first, near, last, far), fill=1)
    return np.asarray(canvas)


def _star(centre: float, radius: float) -> list[tuple[float, float]]:
    points = []
    for corner in range(10):
        reach = radius if corner % 2 == 0 else _STAR_DEPTH * radius
        angle = math.pi * corner / 5
        points.append((centre + reach * math.sin(angle), centre - reach * math.cos(angle)))
    return points


@functools.cache
def shape_coverage(shape: str, size: int) -> np.ndarray:
    """Returns the antialiased coverage of a shape, float32 (size, size) in [0, 1]."""
    fine = shape_mask(shape, size * _SUPERSAMPLING).astype(np.float32)
    return fine.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING).mean((1, 3))
