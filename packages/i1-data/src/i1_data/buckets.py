"""Aspect buckets: images of several shapes, one shape per batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from i1_hooks import UserError

MULTIPLE = 16
"""Pixels that both edges of a bucket are a multiple of: 2x2 patches of a factor-8 autoencoder's latent."""
RATIOS = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9))

Size = tuple[int, int]
"""Height and width in pixels."""


def aspect_buckets(resolution: int, ratios: Sequence[tuple[int, int]] = RATIOS) -> tuple[Size, ...]:
    """Returns buckets of about `resolution` squared pixels, upright and lying for every ratio.

    Example:
        >>> aspect_buckets(512, [(1, 1), (3, 2)])
        ((512, 512), (624, 416), (416, 624))
    """
    sizes: list[Size] = []
    for long, short in ratios:
        ratio = math.sqrt(long / short)
        high, low = (max(MULTIPLE, round(resolution * f / MULTIPLE) * MULTIPLE) for f in (ratio, 1 / ratio))
        sizes += [(high, low), (low, high)]
    return tuple(dict.fromkeys(sizes))


def check_buckets(buckets: Sequence[Size]) -> None:
    """Makes sure that buckets are different multiples of 16.

    Raises:
        UserError: naming the one that is not.
    """
    for height, width in buckets:
        if min(height, width) < MULTIPLE or height % MULTIPLE or width % MULTIPLE:
            raise UserError(
                f"data.buckets: {height}x{width} must have edges that are multiples of {MULTIPLE} pixels"
            )
    if len(set(buckets)) < len(buckets):
        raise UserError(f"data.buckets names a size twice: {', '.join(f'{h}x{w}' for h, w in buckets)}")


def nearest_bucket(buckets: Sequence[Size], height: int, width: int) -> int:
    """Returns the index of the bucket whose aspect is nearest in ratio; the first of equally near ones."""
    aspect = math.log(height / width)
    return min(range(len(buckets)), key=lambda i: abs(math.log(buckets[i][0] / buckets[i][1]) - aspect))
