"""Overlap and relative position of two boxes.

A box is `[x1, y1, x2, y2]` in pixels, x to the right and y downwards; all arithmetic is float32.
"""

from __future__ import annotations

import numpy as np

MIN_OFFSET = 1e-3
"""Offsets shorter than this on both axes, in pixels, are no relation."""
MIN_SHARE = 0.5
"""The share of the offset's length that an axis needs for its relation to hold."""


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the intersection over union of two boxes that hold their last row and column of pixels.

    Args:
        a: float32, the first four values are the box.
        b: the other box.
    """
    inside = _area(np.maximum(a[:2], b[:2]), np.minimum(a[2:4], b[2:4]))
    union = _area(a[:2], a[2:4]) + _area(b[:2], b[2:4]) - inside
    return float(inside / union) if union > 0 else 0.0


def _area(low: np.ndarray, high: np.ndarray) -> np.float32:
    width, height = np.maximum(high - low + np.float32(1), np.float32(0))
    return width * height


def relations(a: np.ndarray, b: np.ndarray, position_threshold: float) -> set[str]:
    """Returns how box `a` stands to box `b`: a set of left of, right of, above and below.

    With the offset `d` between the centres, `r = max(|d| - t (size of a + size of b), 0) sign(d)` on each
    axis and `u = r / ||d||`, a relation holds when `u` exceeds 0.5 in its direction. Two may hold at once.

    Args:
        a: float32, the first four values are the box.
        b: the other box.
        position_threshold: `t`, the share of the sizes that does not count as distance.
    """
    corners = np.stack([a[:4], b[:4]]).astype(np.float32).reshape(2, 2, 2)
    centres = corners.mean(axis=1)
    sizes = np.abs(corners[:, 1] - corners[:, 0])
    offset = centres[0] - centres[1]
    distance = np.abs(offset) - np.float32(position_threshold) * sizes.sum(axis=0)
    remaining = np.maximum(distance, 0) * np.sign(offset)
    if np.all(np.abs(remaining) < MIN_OFFSET):
        return set()
    x, y = remaining / np.linalg.norm(offset)
    holds = {
        "left of": x < -MIN_SHARE,
        "right of": x > MIN_SHARE,
        "above": y < -MIN_SHARE,
        "below": y > MIN_SHARE,
    }
    return {relation for relation, true in holds.items() if true}
