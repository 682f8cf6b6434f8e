import math

import numpy as np
import pytest
from i1_scenes.letters import ALPHABET, CELL, letter_coverage, letter_mask
from i1_scenes.painting import paint
from i1_scenes.shapes import shape_coverage, shape_mask
from i1_scenes.vocabulary import COLOURS, SHAPES

ARM = 1 - 2 * 41 / 128
AREAS = {
    "circle": math.pi / 4,
    "square": 1.0,
    "triangle": 0.5,
    "ring": math.pi / 4 * (1 - 1 / 4),
    "cross": 2 * ARM - ARM**2,
    "star": 10 * 0.5 * 0.5 * (0.45 * 0.5) * math.sin(math.pi / 5),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_its_area_and_fills_its_square(shape):
    mask = shape_mask(shape, 256, 64)
    assert mask.shape == (384, 384)
    assert mask.sum() / 256**2 == pytest.approx(AREAS[shape], abs=0.012)
    rows, columns = np.nonzero(mask)
    assert rows.min() == 64
    assert abs(columns.min() - 64) <= 8  # the side corners of a star do not reach the square
    assert not mask[:64].any()
    assert not mask[320:].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_coverage_of_a_shape_is_its_mask_averaged(shape):
    coverage = shape_coverage(shape, 20)
    assert (coverage.shape, coverage.dtype) == ((20, 20), np.float32)
    assert coverage.mean() == pytest.approx(AREAS[shape], abs=0.02)
    assert (coverage.min() >= 0) & (coverage.max() == 1)


def test_letters_differ_and_stand_in_the_middle():
    masks = [letter_mask(letter, 256, 64) for letter in ALPHABET]
    assert (
        len({mask.tobytes() for mask in masks}) == len({letter_coverage(a).tobytes() for a in ALPHABET}) == 26
    )
    for mask in masks:
        columns = np.nonzero(mask.any(0))[0]
        assert abs((columns.min() + columns.max()) / 2 - 192) < 24
        assert 0.02 < mask.sum() / 256**2 < 0.4


def test_the_letters_of_a_scene_fit_their_cells():
    for letter in ALPHABET:
        coverage = letter_coverage(letter)
        assert coverage.shape == (CELL, CELL)
        assert not coverage[:, [0]].any(), letter
        assert coverage.max() > 0.5


def test_painting_blends_a_view_in_place():
    picture = np.full((4, 4, 3), 200, np.float32)
    paint(picture[1:3, 1:3], np.array([[0, 1], [0.5, 0]], np.float32), "black")
    assert picture[1, 2].tolist() == list(COLOURS["black"])
    assert picture[2, 1].tolist() == [115, 115, 115]
    assert (picture != 200).any(-1).sum() == 2
