"""Recognition of objects: the shape, colour, place and size of each region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from i1_bench.scenes.regions import Region, nearest_colour
from i1_bench.scenes.templates import shape_bank

MIN_OVERLAP = 0.80
"""Intersection over union with the best template below which a region has no shape."""
MAX_MIXED = 0.12
"""Share of pixels of other colours above which a region has no colour."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One recognised object.

    Attributes:
        shape: the best template, or None when none overlaps enough.
        colour: name of the nearest palette colour, or None when far from all or mixed.
        x: column of the centre of its box, in pixels from the left edge.
        y: row of that centre, in pixels from the top edge.
        size: pixels across its box.
        overlap: intersection over union with the best template.
    """

    shape: str | None
    colour: str | None
    x: float
    y: float
    size: float
    overlap: float


def measure(region: Region) -> Measured:
    """Recognises a region by overlap with the canonical shapes of the same area and centroid.

    Overlap is intersection over union of coverages: `sum(min(a, b)) / sum(max(a, b))`.
    """
    bank = shape_bank()
    height, width = region.coverage.shape
    columns = np.arange(width) + 0.5 + region.left - region.x
    rows = np.arange(height) + 0.5 + region.top - region.y
    sizes = np.sqrt(region.area / bank.area)
    overlaps = np.empty(len(bank.names))
    for k, size in enumerate(sizes):
        template = bank.coverage(k, float(size), columns, rows)
        shared = float(np.minimum(template, region.coverage).sum())
        overlaps[k] = shared / (region.area + float(size) ** 2 * bank.area[k] - shared)
    best = int(overlaps.argmax())
    x, y = np.array([region.x, region.y]) + sizes[best] * bank.offset[best]
    return Measured(
        shape=bank.names[best] if overlaps[best] >= MIN_OVERLAP else None,
        colour=nearest_colour(region.colour) if region.mixed <= MAX_MIXED else None,
        x=float(x),
        y=float(y),
        size=float(sizes[best]),
        overlap=float(overlaps[best]),
    )
