"""Resizing and cropping in memory that is bounded by the source and the result.

A picture of 2 x 8000 pixels becomes 512 x 2,048,000 before its centre is cut out. Where the enlarged picture
would be much larger than what it is made from and what is kept of it, only the centre is computed, with
Pillow's arithmetic: one axis after the other, horizontal first, rounded to bytes in between.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

AMPLIFICATION = 4
"""How many times larger than source and result the enlarged picture may be before only its centre is made."""

_PRECISION_BITS = 22
"""Of Pillow's fixed-point weights for bytes."""


def fill_and_crop(image: Image.Image, height: int, width: int) -> Image.Image:
    """Scales an image until it just covers `height` x `width` pixels and cuts out the centre.

    Resampled as by `resize_and_crop`, which this is for a square.
    """
    if height == width:
        return resize_and_crop(image, height)
    scale = max(height / image.height, width / image.width)
    covering = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    return _resize_centre(image, covering, (width, height))


def resize_and_crop(image: Image.Image, resolution: int) -> Image.Image:
    """Scales the shorter edge to `resolution` pixels and cuts out the centre square.

    Bilinear with antialiasing; the longer edge becomes `round(longer * (resolution / shorter))`, the crop
    starts at half the surplus, rounded down. An image whose shorter edge has the size already is not
    resampled; a smaller one is enlarged (the filter `min_size` drops such images).

    Source: section 7 of the published description of the data; Pillow's `BILINEAR`.
    """
    shorter = min(image.size)
    scale = resolution / shorter
    covering = tuple(resolution if edge == shorter else round(edge * scale) for edge in image.size)
    return _resize_centre(image, covering, (resolution, resolution))


def _resize_centre(image: Image.Image, covering: tuple[int, ...], size: tuple[int, int]) -> Image.Image:
    """Resizes to `covering` (width, height) and cuts out the centre of `size` (width, height)."""
    width, height = covering
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    allowed = AMPLIFICATION * max(image.width * image.height, size[0] * size[1])
    if width * height > allowed:
        return _resize_window(image, (width, height), (left, top, *size))
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    if image.size == size:
        return image
    return image.crop((left, top, left + size[0], top + size[1]))


def _resize_window(
    image: Image.Image, size: tuple[int, int], window: tuple[int, int, int, int]
) -> Image.Image:
    """Returns a part of an enlarged image without the rest: left, top, width and height of `window`."""
    left, top, width, height = window
    columns = _weights(image.width, size[0], left, width)
    rows = _weights(image.height, size[1], top, height)
    first_column, last_column = columns[0][0], columns[-1][0] + len(columns[-1][1])
    first_row, last_row = rows[0][0], rows[-1][0] + len(rows[-1][1])
    pixels = np.asarray(image.crop((first_column, first_row, last_column, last_row)))
    columns = [(start - first_column, weights) for start, weights in columns]
    rows = [(start - first_row, weights) for start, weights in rows]
    pixels = _apply(pixels.swapaxes(0, 1), columns).swapaxes(0, 1)
    pixels = _apply(pixels, rows)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _weights(old: int, new: int, first: int, count: int) -> list[tuple[int, np.ndarray]]:
    """Returns the bilinear weights of `count` places of an axis resized from `old` to `new` pixels.

    Returns:
        For each place the first source pixel, and the fixed-point weights of it and the following ones.
    """
    scale = old / new
    support = max(scale, 1.0)
    inverse = 1 / support
    found: list[tuple[int, np.ndarray]] = []
    for place in range(first, first + count):
        centre = (place + 0.5) * scale
        start = max(int(centre - support + 0.5), 0)
        stop = min(int(centre + support + 0.5), old)
        weights = [max(0.0, 1 - abs((pixel - centre + 0.5) * inverse)) for pixel in range(start, stop)]
        total = sum(weights)
        fixed = [int(0.5 + weight / total * (1 << _PRECISION_BITS)) for weight in weights]
        found.append((start, np.array(fixed, np.int64)))
    return found


def _apply(
    pixels: UInt8[np.ndarray, "old others 3"], axis_weights: list[tuple[int, np.ndarray]]
) -> UInt8[np.ndarray, "new others 3"]:
    result = np.empty((len(axis_weights), *pixels.shape[1:]), np.uint8)
    half = 1 << (_PRECISION_BITS - 1)
    for place, (start, weights) in enumerate(axis_weights):
        total = np.tensordot(weights, pixels[start : start + len(weights)].astype(np.int64), 1)
        result[place] = np.clip((total + half) >> _PRECISION_BITS, 0, 255)
    return result
