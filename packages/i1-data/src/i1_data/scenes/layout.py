"""Draws the contents and the positions of a scene, keeping away from the held-out combinations."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from i1_scenes import vocabulary as v
from i1_scenes.letters import ALPHABET
from i1_scenes.words import HELD_OUT_WORDS, TRAINING_WORDS

MARGIN = 2
GAP = 3
GRID = 8
"""Centres lie in the middle of the cells of this many pixels; a small model then has few distinct edges."""
OBJECT_SIZE = 20
"""Height and width of an object in pixels."""
LOW, HIGH = 24, 40
"""Centres up to LOW lie in the first third of an axis, from HIGH on in the last."""
MIDDLE = (28, 36)


@dataclass(frozen=True)
class Thing:
    """One object: its shape, its colour, its extent in pixels and its centre."""

    shape: str
    colour: str
    size: int
    x: int
    y: int


@dataclass(frozen=True)
class Scene:
    """Everything that is in one picture, and the category it was drawn for."""

    category: str
    background: tuple[int, int, int]
    objects: tuple[Thing, ...] = ()
    place: str = ""
    relation: str = ""
    word: str = ""
    word_colour: str = "black"
    word_x: int = v.SIZE // 2
    word_y: int = v.SIZE // 2


def draw_scene(category: str, rng: Random) -> Scene:
    """Returns a random scene of a category that contains no held-out combination.

    Raises:
        ValueError: for a category that does not exist.
    """
    grey = rng.randint(222, 240)
    background = (grey + rng.randint(-4, 4), grey + rng.randint(-4, 4), grey + rng.randint(-4, 4))
    if category in ("single_object", "colors"):
        return _single(category, background, rng)
    if category in ("two_objects", "position", "color_attr"):
        return _pair(category, background, rng)
    if category == "counting":
        return _several(background, rng)
    if category == "words":
        return _word(background, rng)
    raise ValueError(f"no category {category!r}")


def _kind(rng: Random) -> tuple[str, str]:
    while True:
        shape, colour = rng.choice(v.SHAPES), rng.choice(tuple(v.COLOURS))
        if (colour, shape) not in v.HELD_OUT_COLOUR_SHAPES:
            return shape, colour


def places_of(x: float, y: float) -> set[str]:
    """Returns every place of the picture that a centre in pixels touches."""
    places = set()
    if x <= LOW:
        places.add("left")
    if x >= HIGH:
        places.add("right")
    if y <= LOW:
        places.add("top")
    if y >= HIGH:
        places.add("bottom")
    return places


def _coordinate(rng: Random, low: int = 0, high: int = v.SIZE) -> int:
    low, high = max(low, MARGIN + OBJECT_SIZE // 2), min(high, v.SIZE - MARGIN - OBJECT_SIZE // 2)
    return rng.choice([x for x in range(GRID // 2, v.SIZE, GRID) if low <= x <= high])


def _single(category: str, background: tuple[int, int, int], rng: Random) -> Scene:
    shape, colour = _kind(rng)
    if category == "single_object" and rng.random() < 0.6:
        allowed = [p for p in v.PLACES if (shape, p) not in v.HELD_OUT_PLACES]
        place = rng.choice(allowed)
        x, y = _coordinate(rng, *MIDDLE), _coordinate(rng, *MIDDLE)
        if place == "left":
            x = _coordinate(rng, high=LOW)
        elif place == "right":
            x = _coordinate(rng, low=HIGH)
        elif place == "top":
            y = _coordinate(rng, high=LOW)
        elif place == "bottom":
            y = _coordinate(rng, low=HIGH)
        return Scene(category, background, (Thing(shape, colour, OBJECT_SIZE, x, y),), place=place)
    return Scene(category, background, (_anywhere(shape, colour, rng),))


def _anywhere(shape: str, colour: str, rng: Random) -> Thing:
    while True:
        x, y = _coordinate(rng), _coordinate(rng)
        if not any((shape, place) in v.HELD_OUT_PLACES for place in places_of(x, y)):
            return Thing(shape, colour, OBJECT_SIZE, x, y)


def _pair(category: str, background: tuple[int, int, int], rng: Random) -> Scene:
    while True:
        (shape, colour), (other, other_colour) = _kind(rng), _kind(rng)
        relation = rng.choice(v.RELATIONS)
        if shape == other or frozenset({shape, other}) in v.HELD_OUT_PAIRS:
            continue
        if v.is_held_out_relation(shape, relation, other):
            continue
        x, y = _coordinate(rng), _coordinate(rng)
        other_x, other_y = _coordinate(rng), _coordinate(rng)
        if relation in ("right of", "below"):
            along = (x - other_x) if relation == "right of" else (y - other_y)
        else:
            along = (other_x - x) if relation == "left of" else (other_y - y)
        across = abs(y - other_y) if relation in ("left of", "right of") else abs(x - other_x)
        if along < OBJECT_SIZE + GAP or along < 1.7 * across:
            continue
        things = (
            Thing(shape, colour, OBJECT_SIZE, x, y),
            Thing(other, other_colour, OBJECT_SIZE, other_x, other_y),
        )
        return Scene(category, background, things, relation=relation)


def _several(background: tuple[int, int, int], rng: Random) -> Scene:
    while True:
        shape, colour = _kind(rng)
        count = rng.choice((1, 2, 2, 3, 3, 4, 4))
        if (count, shape) in v.HELD_OUT_COUNTS:
            continue
        if count == 1:
            return Scene("counting", background, (_anywhere(shape, colour, rng),))
        things: list[Thing] = []
        for _ in range(40):
            thing = Thing(shape, colour, OBJECT_SIZE, _coordinate(rng), _coordinate(rng))
            if all(_apart(thing, other) for other in things):
                things.append(thing)
            if len(things) == count:
                return Scene("counting", background, tuple(things))


def _apart(a: Thing, b: Thing) -> bool:
    reach = (a.size + b.size) // 2 + GAP
    return abs(a.x - b.x) >= reach or abs(a.y - b.y) >= reach


def _word(background: tuple[int, int, int], rng: Random) -> Scene:
    if rng.random() < 0.5:
        word = rng.choice(TRAINING_WORDS)
    else:
        word = ""
        while not word or word in HELD_OUT_WORDS:
            word = "".join(rng.choice(ALPHABET) for _ in range(rng.choice((2, 3, 3, 4, 4))))
    return Scene(
        "words",
        background,
        word=word,
        word_colour=rng.choice(tuple(v.COLOURS)),
        word_y=v.SIZE // 2 + GRID * rng.randint(-2, 2),
    )
