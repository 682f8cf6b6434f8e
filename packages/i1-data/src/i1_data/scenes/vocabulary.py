"""What scenes are made of, and the combinations that training never sees."""

from __future__ import annotations

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

RELATIONS = ("left of", "right of", "above", "below")
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
PLACES = ("left", "right", "top", "bottom", "middle")
COUNTS = ("one", "two", "three", "four")
CATEGORIES = ("single_object", "two_objects", "counting", "colors", "position", "color_attr", "words")

HELD_COLOUR_SHAPE = frozenset(
    {
        ("green", "star"),
        ("purple", "circle"),
        ("orange", "square"),
        ("pink", "triangle"),
        ("yellow", "cross"),
        ("black", "ring"),
    }
)
HELD_SHAPE_PAIR = frozenset({frozenset({"triangle", "ring"}), frozenset({"star", "cross"})})
HELD_RELATION = frozenset(
    {
        ("square", "left of", "circle"),
        ("star", "above", "circle"),
        ("triangle", "left of", "square"),
        ("ring", "above", "square"),
        ("cross", "left of", "ring"),
    }
)
HELD_COUNT_SHAPE = frozenset({(2, "triangle"), (3, "star"), (4, "circle")})
HELD_PLACE_SHAPE = frozenset({("left", "star"), ("top", "circle"), ("right", "square"), ("bottom", "cross")})

_WORDS = (
    "ACE ACT AIR ANT APE ARM ART BAG BAR BAT BED BEE BELL BIG BIRD BLUE BOAT BOOK BOX BOY BUS CAKE "
    "CAN CAP CAR CAT CITY COAT COLD COW CUP DAY DEEP DOG DOOR DOT DUCK EAR EAT EGG END EYE FACE FAN "
    "FARM FAST FIRE FISH FIVE FLAG FLY FOOD FOX FROG FUN GAME GATE GIFT GO GOAT GOLD GOOD GUM HAND "
    "HAT HEN HI HILL HOME HOT ICE INK IT JAM JAR JOB JOY JUMP KEY KING KIT KIWI LAKE LAMP LEAF LEG "
    "LID LION LOG LOVE MAP MILK MIX MOON NET NEST NEW NINE NO NOSE NUT OAK OIL ON ONE OPEN OWL PAN "
    "PARK PEN PIE PIG PINK PLAY POT QUIZ RAIN RED ROAD ROSE RUN SEA SHIP SHOE SIX SKY SNOW SOAP SOCK "
    "STAR STOP SUN TEA TEN TIME TOP TOY TREE TWO UP VAN VASE WAVE WAX WE WEST WIN WOLF WOOD YAK YES "
    "YOU ZEBU ZERO ZOO "
)
WORDS = tuple(_WORDS.split())
HELD_WORDS = frozenset(WORDS[2::5])
"""Every fifth word: scored as unseen, never rendered in training."""


def relation_between(x: float, y: float, other_x: float, other_y: float) -> str | None:
    """Returns how a point lies to another one: the relation of the dominant axis, or None near the diagonal.

    Coordinates are pixels, x to the right and y downwards. An axis dominates from 1.5 times the other on.
    """
    dx, dy = x - other_x, y - other_y
    if abs(dx) > 1.5 * abs(dy):
        return "left of" if dx < 0 else "right of"
    if abs(dy) > 1.5 * abs(dx):
        return "above" if dy < 0 else "below"
    return None


def is_held_relation(shape: str, relation: str, other: str) -> bool:
    """Tells whether `shape relation other` is the same arrangement as one held out of training."""
    return (shape, relation, other) in HELD_RELATION or (other, INVERSE[relation], shape) in HELD_RELATION
