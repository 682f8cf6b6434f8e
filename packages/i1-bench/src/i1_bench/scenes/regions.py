"""Segmentation of a scene: background, connected regions, and the colour and coverage of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from i1_scenes import vocabulary as v
from scipy import ndimage

CONTRAST = 42.0
"""RGB distance from the background where a region starts; the palest colour, pink, lies at least 90 away."""
MIN_AREA = 10
"""Regions of fewer pixels are noise: the smallest object of the data, a star of 15 pixels, covers 70."""
MIN_BACKGROUND = 195.0
"""The darkest channel of a background that still counts as light."""
MIXED_DISTANCE = 60.0
"""RGB distance from the line between background and object colour where a pixel belongs to neither."""
MAX_MIXED = 0.12
"""Share of such pixels above which a region is not of one colour."""
MIN_SHARE = 0.15
"""Share of a region's inner pixels that makes a colour an object of its own."""
_ALL_NEIGHBOURS = np.ones((3, 3), bool)
_PALETTE = np.array(list(v.COLOURS.values()), np.float32)
_COLOUR_NAMES = tuple(v.COLOURS)
MAX_COLOUR_DISTANCE = 60.0
"""RGB distance beyond which a colour has no name; the nearest two palette colours lie 71 apart."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """One connected region of a picture.

    Attributes:
        coverage: float32 (h, w), 0 background to 1 object, of the part of the picture that holds the region.
        left: column of that part.
        top: row of that part.
        area: sum of the coverage in pixels.
        x: centroid column in pixels from the left edge of the picture.
        y: centroid row.
        colour: median RGB of the pixels well inside.
        mixed: share of its pixels that fit neither the background, nor the colour, nor a blend of them.
    """

    coverage: np.ndarray
    left: int
    top: int
    area: float
    x: float
    y: float
    colour: np.ndarray
    mixed: float

    @property
    def height(self) -> int:
        """Rows in which the coverage reaches half of its largest value."""
        inside = self.coverage > 0.5 * self.coverage.max()
        return int(np.ptp(np.nonzero(inside.any(1))[0])) + 1


def background(picture: np.ndarray) -> np.ndarray:
    """Returns the median RGB of the outermost two pixels on each side, float32 (3,)."""
    frame = np.concatenate(
        [side.reshape(-1, 3) for side in (picture[:2], picture[-2:], picture[2:-2, :2], picture[2:-2, -2:])]
    )
    return np.median(frame, 0)


def regions(
    picture: np.ndarray, ground: np.ndarray, *, contrast: float = CONTRAST, level: float = 0.5
) -> list[Region]:
    """Returns the connected regions that differ from the background, largest first.

    Pixels further than `contrast` from the background are connected (8 neighbours). The colour of a region is
    the median of its inner pixels; the coverage of a pixel is its place between background and colour.

    Args:
        picture: float32 (height, width, 3), RGB from 0 to 255.
        ground: RGB of the background.
        contrast: RGB distance.
        level: parts that are connected only by pixels of less coverage than this are regions of their own.
    """
    delta = picture - ground
    distance = np.sqrt(np.einsum("hwc,hwc->hw", delta, delta))
    labels = _label(distance > contrast)
    sizes = np.bincount(labels.ravel())
    found: list[Region] = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if sizes[label] < MIN_AREA:
            continue
        rows, columns = (slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        inside = labels[rows, columns] == label
        foreign = (labels[rows, columns] > 0) & ~inside
        here = delta[rows, columns]
        is_mixed = _coverage(here, inside)[2] > MAX_MIXED
        for own in _by_colour(here + ground, inside) if is_mixed else [inside]:
            near = ndimage.binary_dilation(own, _ALL_NEIGHBOURS) & ~foreign & (own | ~inside)
            axis, coverage, mixed = _coverage(here, own)
            for part in _parts(coverage * near, level):
                found.append(_region(part, rows.start, columns.start, ground + axis, mixed))
    return sorted(found, key=lambda region: -region.area)


def _coverage(delta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns the colour less the background, the coverage of each pixel, and the share of odd pixels."""
    distance = np.linalg.norm(delta, axis=-1)
    inner = own & (distance > 0.8 * np.percentile(distance[own], 80))
    axis = np.median(delta[inner], 0)
    if np.linalg.norm(axis) < 0.5 * CONTRAST:  # the pixels differ in every direction
        return axis, own.astype(np.float32), 1.0
    coverage = np.clip(delta @ (axis / (axis @ axis)), 0, 1)
    residual = np.linalg.norm(delta - coverage[..., None] * axis, axis=-1)
    return axis, coverage, float((residual[own] > MIXED_DISTANCE).mean())


def _by_colour(picture: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
    """Divides a region in which objects of several palette colours touch.

    Pixels surrounded by the region vote for the nearest colour; colours with enough votes are objects, and
    every other pixel goes with the nearest voter for one of them.
    """
    surrounded = np.asarray(ndimage.binary_erosion(inside, _ALL_NEIGHBOURS), bool)
    if surrounded.sum() < 2 * MIN_AREA:
        return [inside]
    nearest = np.linalg.norm(picture[surrounded][:, None] - _PALETTE, axis=-1).argmin(1)
    votes = np.bincount(nearest, minlength=len(_PALETTE))
    colours = np.nonzero(votes >= max(MIN_AREA, MIN_SHARE * votes.sum()))[0]
    if len(colours) < 2:
        return [inside]
    seeds = np.full(inside.shape, -1)
    seeds[surrounded] = np.where(np.isin(nearest, colours), nearest, -1)
    indices = np.empty((2, *inside.shape), np.int32)
    ndimage.distance_transform_edt(seeds < 0, return_distances=False, return_indices=True, indices=indices)
    owner = seeds[indices[0], indices[1]]
    return [inside & (owner == colour) for colour in colours]


def _label(mask: np.ndarray) -> np.ndarray:
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, _ALL_NEIGHBOURS, output=labels)
    return labels


def _parts(coverage: np.ndarray, level: float) -> list[np.ndarray]:
    labels = _label(coverage > level)
    sizes = np.bincount(labels.ravel())
    kept = [label for label in range(1, len(sizes)) if sizes[label] >= MIN_AREA]
    if len(kept) <= 1:
        return [coverage]
    return [
        coverage
        * ndimage.binary_dilation(labels == label, _ALL_NEIGHBOURS)
        * ((labels == label) | (labels == 0))
        for label in kept
    ]


def _region(coverage: np.ndarray, top: int, left: int, colour: np.ndarray, mixed: float) -> Region:
    area = float(coverage.sum())
    rows, columns = np.arange(coverage.shape[0]) + 0.5, np.arange(coverage.shape[1]) + 0.5
    return Region(
        coverage=coverage,
        left=left,
        top=top,
        area=area,
        x=left + float(coverage.sum(0) @ columns) / area,
        y=top + float(coverage.sum(1) @ rows) / area,
        colour=colour,
        mixed=mixed,
    )


def nearest_colour(colour: np.ndarray) -> str | None:
    """Returns the name of the nearest palette colour, or None further than `MAX_COLOUR_DISTANCE` from all."""
    distances = np.linalg.norm(_PALETTE - colour, axis=1)
    nearest = int(distances.argmin())
    return _COLOUR_NAMES[nearest] if distances[nearest] <= MAX_COLOUR_DISTANCE else None


def blended_colour(colour: np.ndarray, ground: np.ndarray) -> str | None:
    """Returns the name of the palette colour whose blends with the background come nearest.

    Thin strokes never reach their full colour: a blend of at least a half of it is taken for it.
    """
    axes = _PALETTE - ground
    share = np.clip((axes @ (colour - ground)) / np.einsum("kc,kc->k", axes, axes), 0.5, 1)
    distances = np.linalg.norm(ground + share[:, None] * axes - colour, axis=1)
    nearest = int(distances.argmin())
    return _COLOUR_NAMES[nearest] if distances[nearest] <= MAX_COLOUR_DISTANCE else None
