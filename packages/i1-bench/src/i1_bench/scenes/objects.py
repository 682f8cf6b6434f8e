"""Recognition of objects: the shape, colour, place and size of each region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from i1_bench.scenes.regions import MAX_MIXED, Region, nearest_colour
from i1_bench.scenes.templates import shape_bank

MIN_OVERLAP = {"circle": 0.88, "square": 0.88, "triangle": 0.85, "star": 0.78, "cross": 0.78, "ring": 0.78}
"""Intersection over union with the best template below which there is no shape; lower for long outlines."""
SHARPNESS = 4.0
"""Slope given to edges before comparison, so that blur changes nothing but small details."""


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

    Overlap is intersection over union of coverages: `sum(min(a, b)) / sum(max(a, b))`, after sharpening.
    """
    bank = shape_bank()
    coverage = np.clip((region.coverage - 0.5) * SHARPNESS + 0.5, 0, 1)
    area = float(coverage.sum())
    columns, rows = np.arange(coverage.shape[1]) + 0.5, np.arange(coverage.shape[0]) + 0.5
    x, y = float(coverage.sum(0) @ columns) / area, float(coverage.sum(1) @ rows) / area
    sizes = np.sqrt(area / bank.area)
    overlaps = np.empty(len(bank.names))
    for k, size in enumerate(sizes):
        template = bank.coverage(k, float(size), columns - x, rows - y, softness=1 / SHARPNESS)
        shared = float(np.minimum(template, coverage).sum())
        overlaps[k] = shared / (2 * area - shared)
    best = int(overlaps.argmax())
    dx, dy = sizes[best] * bank.offset[best]
    return Measured(
        shape=bank.names[best] if overlaps[best] >= MIN_OVERLAP[bank.names[best]] else None,
        colour=nearest_colour(region.colour) if region.mixed <= MAX_MIXED else None,
        x=region.left + x + float(dx),
        y=region.top + y + float(dy),
        size=float(sizes[best]),
        overlap=float(overlaps[best]),
    )
