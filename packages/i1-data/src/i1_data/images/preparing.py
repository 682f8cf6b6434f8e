"""Preparation of a training image from a record's image."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import UInt8

from i1_data.images.decoding import Pixels, decode
from i1_data.images.resizing import fill_and_crop


def prepare(
    image: Pixels | bytes, resolution: int | tuple[int, int], *, name: str = "image"
) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes, resizes and crops to a training image.

    Args:
        image: encoded bytes, or uint8 pixels of shape (height, width, 3).
        resolution: edge of the square result in pixels, or its height and width.
        name: how messages name the image.

    Returns:
        uint8 of shape (height, width, 3).

    Raises:
        UserError: naming an image that cannot be decoded.
    """
    height, width = (resolution, resolution) if isinstance(resolution, int) else resolution
    if isinstance(image, np.ndarray) and (image.shape, image.dtype) == ((height, width, 3), np.uint8):
        return image
    return np.asarray(fill_and_crop(decode(image, name=name), height, width))


def to_float(pixels: Any) -> Any:
    """Maps uint8 pixels to float32 in [-1, 1]: `pixels / 255 * 2 - 1`.

    Takes numpy and jax arrays alike and returns the same kind.
    """
    return pixels.astype(np.float32) / np.float32(255) * np.float32(2) - np.float32(1)
