"""One mask laid over a picture in a colour."""

from __future__ import annotations

import numpy as np

from i1_scenes.vocabulary import COLOURS


def paint(picture: np.ndarray, coverage: np.ndarray, colour: str) -> None:
    """Blends a colour of the palette into a picture, in place: `p + coverage (colour - p)`.

    Args:
        picture: float32 (height, width, 3), RGB from 0 to 255; a view of a larger picture is enough.
        coverage: float32 (height, width) in [0, 1].
        colour: one of `vocabulary.COLOURS`.
    """
    picture += coverage[..., None] * (np.asarray(COLOURS[colour], np.float32) - picture)
