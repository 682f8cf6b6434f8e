"""Canonical masks as signed distances, so that a template of any size and position is one look-up."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from i1_scenes import vocabulary as v
from i1_scenes.letters import ALPHABET
from scipy import ndimage

from i1_bench.scenes.drawing import FINE, canonical_letter, canonical_shape


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Templates of one kind.

    Attributes:
        names: of the templates.
        distances: float32 (names, n, n), signed distance to the outline, positive inside, in units of the
            inner square; the centroid of every template lies in the middle.
        area: (names,) in units of the inner square's area.
        offset: (names, 2) from the centroid to the centre of the inner square (x, y), in units of the square.
    """

    names: tuple[str, ...]
    distances: np.ndarray
    area: np.ndarray
    offset: np.ndarray

    def coverage(
        self,
        which: slice | int,
        size: float,
        columns: np.ndarray,
        rows: np.ndarray,
        *,
        softness: float = 1.0,
    ) -> np.ndarray:
        """Returns the coverage of templates whose centroid lies at the origin, float32 (..., rows, columns).

        A pixel's coverage is `distance to the outline / softness + 1/2`, clipped to [0, 1].

        Args:
            which: the templates.
            size: pixels across the inner square.
            columns: of the pixel centres, relative to the centroid.
            rows: of the pixel centres, relative to the centroid.
            softness: pixels over which coverage goes from 0 to 1.
        """
        middle = self.distances.shape[-1] // 2

        def index(places: np.ndarray) -> np.ndarray:
            return np.clip((places * (FINE / size)).astype(int) + middle, 0, 2 * middle - 1)

        sampled = self.distances[which][..., index(rows)[:, None], index(columns)]
        return np.clip(sampled * (size / softness) + 0.5, 0, 1)


def _distance(mask: np.ndarray) -> np.ndarray:
    distances = np.empty(mask.shape, np.float64)
    ndimage.distance_transform_edt(mask, distances=distances)
    return distances


def _bank(names: tuple[str, ...], masks: list[np.ndarray]) -> Bank:
    distances, areas, offsets = [], [], []
    for mask in masks:
        outline = _distance(mask) - _distance(~mask)
        rows, columns = np.nonzero(mask)
        y, x = float(rows.mean()) + 0.5, float(columns.mean()) + 0.5
        middle = mask.shape[0] / 2
        areas.append(mask.sum() / FINE**2)
        offsets.append(((middle - x) / FINE, (middle - y) / FINE))
        shift = (round(middle - y), round(middle - x))
        distances.append(ndimage.shift(outline / FINE, shift, order=0, mode="nearest").astype(np.float32))
    return Bank(names=names, distances=np.stack(distances), area=np.array(areas), offset=np.array(offsets))


@functools.cache
def shape_bank() -> Bank:
    """Returns the templates of the six shapes."""
    return _bank(v.SHAPES, [canonical_shape(shape) for shape in v.SHAPES])


@functools.cache
def letter_bank() -> Bank:
    """Returns the templates of the 26 capital letters; the inner square is the em."""
    return _bank(tuple(ALPHABET), [canonical_letter(letter) for letter in ALPHABET])
