"""Right pictures of scenes, drawn with canonical masks of shapes and letters."""

from __future__ import annotations

import numpy as np
from i1_scenes import vocabulary as v
from i1_scenes.letters import letter_mask
from i1_scenes.painting import paint
from i1_scenes.shapes import shape_mask

from i1_bench.scenes.prompt_set import Scene

FINE = 256
"""Pixels across the square of a canonical shape, or across the em of a canonical letter."""
PAD = 64
"""Empty pixels on each side of it."""


def canonical_shape(shape: str) -> np.ndarray:
    """Returns the canonical mask of a shape, bool (384, 384); the shape fills the inner square."""
    return shape_mask(shape, FINE, PAD)


def canonical_letter(letter: str) -> np.ndarray:
    """Returns the canonical mask of a letter, bool (384, 384); the inner square is the em."""
    return letter_mask(letter, FINE, PAD)


def stamp(mask: np.ndarray, size: float, x: float, y: float, pixels: int = v.SIZE) -> np.ndarray:
    """Returns the coverage of a canonical mask in a picture, float32 (pixels, pixels) in [0, 1].

    Args:
        mask: of `canonical_shape` or `canonical_letter`.
        size: pixels across its inner square.
        x: column of the centre of that square, in pixels from the left edge of the picture.
        y: row of that centre.
        pixels: height and width of the picture.
    """
    fine = 4
    points = (np.arange(pixels * fine) + 0.5) / fine

    def index(centre: float) -> np.ndarray:
        places = np.floor((points - centre) / size * FINE).astype(int) + mask.shape[0] // 2
        return np.clip(places, 0, mask.shape[0] - 1)

    sampled = mask[np.ix_(index(y), index(x))].astype(np.float32)
    return sampled.reshape(pixels, fine, pixels, fine).mean((1, 3))


def draw(
    placed: list[tuple[np.ndarray, str, float, float, float]], background: tuple[int, int, int]
) -> np.ndarray:
    """Returns a picture of placed masks, uint8 (64, 64, 3).

    Args:
        placed: mask, colour name, size, x and y of each object, as `stamp` takes them.
        background: its RGB.
    """
    picture = np.empty((v.SIZE, v.SIZE, 3), np.float32)
    picture[:] = background
    for mask, colour, size, x, y in placed:
        paint(picture, stamp(mask, size, x, y), colour)
    return np.rint(picture).astype(np.uint8)


_CENTRES = {"left": (16, 32), "right": (48, 32), "top": (32, 16), "bottom": (32, 48), "middle": (32, 32)}
_OFFSETS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}


def draw_right(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture that shows exactly the scene, uint8 (64, 64, 3).

    What the scene leaves open (sizes, colours, background, where things stand) is drawn from `rng`.
    """
    grey = rng.integers(222, 241)
    r, g, b = (int(grey + rng.integers(-4, 5)) for _ in range(3))
    colours = list(v.COLOURS)
    if scene.word is not None:
        colour = scene.word.colour or str(rng.choice(colours))
        start, y = 32 - 7.5 * (len(scene.word.text) - 1), 32 + float(rng.integers(-6, 7))
        cells = enumerate(scene.word.text)
        return draw([(canonical_letter(a), colour, 15, start + 15 * k, y) for k, a in cells], (r, g, b))
    shared = str(rng.choice(colours))
    kinds = [(t.shape, t.colour or shared) for t in scene.things for _ in range(t.count)]
    if len(kinds) == 1:
        place = scene.things[0].place
        centres = [_CENTRES[place or "middle"]]
        sizes = rng.uniform(22, 27, 1)
    elif len(kinds) == 2:
        dx, dy = _OFFSETS[scene.relation or str(rng.choice(v.RELATIONS))]
        centres = [(32 + 16 * dx, 32 + 16 * dy), (32 - 16 * dx, 32 - 16 * dy)]
        sizes = rng.uniform(18, 25, 2)
    else:
        centres = [(16, 16), (48, 16), (16, 48), (48, 48)]
        sizes = rng.uniform(15, 19, 4)
    jitter = rng.uniform(-2, 2, (len(centres), 2))
    chosen = rng.permutation(len(centres)) if len(kinds) > 2 else np.arange(len(centres))
    return draw(
        [
            (
                canonical_shape(shape),
                colour,
                float(sizes[k]),
                centres[k][0] + float(jitter[k][0]),
                centres[k][1] + float(jitter[k][1]),
            )
            for (shape, colour), k in zip(kinds, chosen, strict=False)
        ],
        (r, g, b),
    )
