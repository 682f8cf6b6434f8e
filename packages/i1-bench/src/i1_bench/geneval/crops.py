"""The crops that the colour classifier sees."""

from __future__ import annotations

import numpy as np
from PIL import Image

BACKGROUND = (0x99, 0x99, 0x99)


def crop(
    image: np.ndarray,
    box: np.ndarray,
    mask: np.ndarray | None = None,
    background: tuple[int, int, int] | None = BACKGROUND,
) -> np.ndarray:
    """Returns an object cut out of a picture, uint8 (height, width, 3).

    Args:
        image: uint8 (height, width, 3), RGB.
        box: x1, y1, x2, y2 in pixels, rounded half to even; what lies outside the picture is black.
        mask: bool (height, width), the object's pixels; None cuts the box alone.
        background: the colour given to the pixels outside the mask; None leaves them.
    """
    if mask is not None and background is not None:
        image = np.where(mask[..., None], image, np.asarray(background, np.uint8))
    left, top, right, bottom = (round(float(value)) for value in box[:4])
    return np.asarray(Image.fromarray(image).crop((left, top, right, bottom)))
