"""What scenes are made of, and the combinations that training never shows."""

from __future__ import annotations

SIZE = 64
"""Height and width of a scene in pixels."""

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLOURS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (240, 210, 40),
    "green": (40, 160, 70),
    "blue": (40, 90, 220),
    "purple": (140, 60, 180),
    "pink": (245, 130, 190),
    "black": (30, 30, 30),
}
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
PLACES = {
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
    "middle": "in the middle",
}
RELATIONS = ("left of", "right of", "above", "below")
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

CATEGORIES = ("single_object", "two_objects", "counting", "colors", "position", "color_attr")
"""The six object categories; `words` stands apart."""
WORDS = "words"
SPLITS = ("seen", "unseen")

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
"""Each with its inverse, which is the same geometry."""
HELD_OUT_COUNTS = frozenset({(2, "triangle"), (3, "star"), (4, "circle")})
HELD_OUT_PLACES = frozenset({("star", "left"), ("circle", "top"), ("square", "right"), ("cross", "bottom")})


def relation_held_out(first: str, relation: str, second: str) -> bool:
    """Returns whether "first relation second" names a held-out geometry, either way round."""
    return (first, relation, second) in HELD_OUT_RELATIONS or (
        second,
        INVERSE[relation],
        first,
    ) in HELD_OUT_RELATIONS
