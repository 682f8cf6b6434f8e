"""What scenes are made of, and the combinations that are held out of training."""

from __future__ import annotations

SIZE = 64
"""Height and width of a scene in pixels."""

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (240, 210, 40),
    "green": (40, 160, 70),
    "blue": (40, 90, 220),
    "purple": (140, 60, 180),
    "pink": (245, 130, 190),
    "black": (30, 30, 30),
}
"""Colour names and their sRGB values, 0 to 255."""
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
PLACES = {
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
    "middle": "in the middle",
}
"""Places of an object in the picture, and how a caption names them."""
RELATIONS = ("left of", "right of", "above", "below")
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
"""The relation of B to A for each relation of A to B."""

OBJECT_CATEGORIES = ("single_object", "two_objects", "counting", "colors", "position", "color_attr")
WORDS = "words"
"""The category of written words."""
CATEGORIES = (*OBJECT_CATEGORIES, WORDS)
SPLITS = ("seen", "unseen")
"""Prompts without and with a combination that is held out of training."""

HELD_OUT_COLOUR_SHAPES = frozenset(
    {
        ("green", "star"),
        ("purple", "circle"),
        ("orange", "square"),
        ("pink", "triangle"),
        ("yellow", "cross"),
        ("black", "ring"),
    }
)
HELD_OUT_PAIRS = frozenset({frozenset({"triangle", "ring"}), frozenset({"star", "cross"})})
HELD_OUT_RELATIONS = frozenset(
    {
        ("square", "left of", "circle"),
        ("star", "above", "circle"),
        ("triangle", "left of", "square"),
        ("ring", "above", "square"),
        ("cross", "left of", "ring"),
    }
)
"""Each stands for its inverse too, which is the same arrangement; see `is_held_out_relation`."""
HELD_OUT_COUNTS = frozenset({(2, "triangle"), (3, "star"), (4, "circle")})
HELD_OUT_PLACES = frozenset({("star", "left"), ("circle", "top"), ("square", "right"), ("cross", "bottom")})


def is_held_out_relation(first: str, relation: str, second: str) -> bool:
    """Tells whether "first relation second" names an arrangement held out of training, either way round."""
    inverse = (second, INVERSE[relation], first)
    return (first, relation, second) in HELD_OUT_RELATIONS or inverse in HELD_OUT_RELATIONS
