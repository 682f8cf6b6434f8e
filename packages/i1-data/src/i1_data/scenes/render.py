"""Scenes to pixels: antialiased shapes and words on a flat light background."""

from __future__ import annotations

import functools
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from i1_data.scenes.layout import IMAGE_SIZE, Scene
from i1_data.scenes.vocabulary import COLOURS

SUPERSAMPLING = 8
LETTER_WIDTH = 16
"""Pixels from one letter of a word to the next."""
LETTER_HEIGHT = 16
FONT_SIZE = 15


@functools.cache
def shape_mask(shape: str, size: int) -> np.ndarray:
    """Returns the coverage of a shape that fills `size` by `size` pixels, float32 in [0, 1]."""
    n = size * SUPERSAMPLING
    canvas = Image.new("L", (n, n), 0)
    draw = ImageDraw.Draw(canvas)
    last = n - 1
    if shape == "circle":
        draw.ellipse((0, 0, last, last), fill=255)
    elif shape == "square":
        draw.rectangle((0, 0, last, last), fill=255)
    elif shape == "triangle":
        draw.polygon([(n / 2, 0), (last, last), (0, last)], fill=255)
    elif shape == "ring":
        draw.ellipse((0, 0, last, last), fill=255)
        draw.ellipse((n / 4, n / 4, last - n / 4, last - n / 4), fill=0)
    elif shape == "cross":
        start, end = n * 0.32, last - n * 0.32
        draw.rectangle((start, 0, end, last), fill=255)
        draw.rectangle((0, start, last, end), fill=255)
    elif shape == "star":
        draw.polygon(_star_points(n), fill=255)
    else:
        raise ValueError(f"no shape {shape!r}")
    pixels = np.asarray(canvas, np.float32).reshape(size, SUPERSAMPLING, size, SUPERSAMPLING)
    return pixels.mean((1, 3)) / 255


def _star_points(n: int) -> list[tuple[float, float]]:
    radius = n / 2
    points = []
    for k in range(10):
        r = radius if k % 2 == 0 else 0.45 * radius
        angle = math.pi * k / 5
        points.append((radius + r * math.sin(angle), radius - r * math.cos(angle)))
    return points


@functools.cache
def letter_mask(letter: str) -> np.ndarray:
    """Returns the coverage of one letter, centred in its cell, float32 (16, 16) in [0, 1]."""
    canvas = Image.new("L", (LETTER_WIDTH, LETTER_HEIGHT), 0)
    font = ImageFont.load_default(size=FONT_SIZE)
    left, _, right, _ = font.getbbox(letter)
    x = (LETTER_WIDTH - (right - left)) / 2 - left
    ImageDraw.Draw(canvas).text((x, LETTER_HEIGHT - 3), letter, fill=255, font=font, anchor="ls")
    return np.asarray(canvas, np.float32) / 255


def render(scene: Scene) -> np.ndarray:
    """Returns the picture of a scene, uint8 (64, 64, 3)."""
    pixels = np.empty((IMAGE_SIZE, IMAGE_SIZE, 3), np.float32)
    pixels[:] = scene.background
    for thing in scene.objects:
        mask = shape_mask(thing.shape, thing.size)
        _paint(pixels, mask, thing.x - thing.size // 2, thing.y - thing.size // 2, thing.colour)
    for k, letter in enumerate(scene.word):
        x = scene.word_x - len(scene.word) * LETTER_WIDTH // 2 + k * LETTER_WIDTH
        _paint(pixels, letter_mask(letter), x, scene.word_y - LETTER_HEIGHT // 2, scene.word_colour)
    return (pixels + 0.5).astype(np.uint8)


def _paint(pixels: np.ndarray, mask: np.ndarray, left: int, top: int, colour: str) -> None:
    height, width = mask.shape
    area = pixels[top : top + height, left : left + width]
    area += mask[..., None] * (np.asarray(COLOURS[colour], np.float32) - area)
