"""Scenes to pixels: antialiased shapes and words on a flat light background."""

from __future__ import annotations

import numpy as np
from i1_scenes.letters import CELL, letter_coverage
from i1_scenes.painting import paint
from i1_scenes.shapes import shape_coverage
from i1_scenes.vocabulary import SIZE

from i1_data.scenes.layout import Scene


def render(scene: Scene) -> np.ndarray:
    """Returns the picture of a scene, uint8 (64, 64, 3)."""
    picture = np.empty((SIZE, SIZE, 3), np.float32)
    picture[:] = scene.background
    for thing in scene.objects:
        left, top = thing.x - thing.size // 2, thing.y - thing.size // 2
        _paint_at(picture, left, top, shape_coverage(thing.shape, thing.size), thing.colour)
    first = scene.word_x - len(scene.word) * CELL // 2
    for k, letter in enumerate(scene.word):
        top = scene.word_y - CELL // 2
        _paint_at(picture, first + k * CELL, top, letter_coverage(letter), scene.word_colour)
    return (picture + 0.5).astype(np.uint8)


def _paint_at(picture: np.ndarray, left: int, top: int, coverage: np.ndarray, colour: str) -> None:
    height, width = coverage.shape
    paint(picture[top : top + height, left : left + width], coverage, colour)
