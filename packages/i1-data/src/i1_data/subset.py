"""The cut of a large set: which of its records are used when their number is limited."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def num_places(size: int, max_records: int) -> int:
    """Returns how many records of a source of `size` are used; a `max_records` of 0 stands for all."""
    return min(size, max_records) if max_records else size


def candidates(size: int, places: int, place: int, rng: np.random.Generator) -> Iterator[int]:
    """Yields the records that may fill a place, without end: the first that passes the filters does.

    The source is divided into `places` runs of neighbours, one per place, so that a place is filled by the
    same record at every visit, whatever the seed, and no record fills two. When its whole run was dropped,
    runs of random other places follow.

    Args:
        size: of the source.
        places: how many of its records are used, at most `size`.
        place: one of them.
        rng: draws the other places.
    """
    while True:
        yield from range(place * size // places, (place + 1) * size // places)
        place = int(rng.integers(places))
