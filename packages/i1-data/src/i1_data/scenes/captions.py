"""Paraphrases of what a scene shows, short and long."""

from __future__ import annotations

from random import Random

from i1_scenes.vocabulary import INVERSE, NUMBERS, PLACES
from i1_scenes.wording import plural, with_article

from i1_data.scenes.layout import Scene, Thing

PHRASE = {"left of": "to the left of", "right of": "to the right of", "above": "above", "below": "below"}
SYNONYM = {"left of": "left of", "right of": "right of", "above": "over", "below": "under"}
FRAMES = ("a picture of {}", "an image of {}", "{} on a light background", "the picture shows {}")
LONG = (
    "the picture shows {} on a plain light background",
    "this is a simple image of {} and nothing else",
    "a small drawing with {} on a light background, nothing else is in it",
)


def describe(scene: Scene, rng: Random) -> str:
    """Returns one random caption of a scene: true, lower case but for the quoted word, at most 24 tokens."""
    if scene.category == "words":
        return _word(scene, rng)
    if scene.category == "counting":
        return _frame(_counted(scene, rng), rng)
    if len(scene.objects) == 2:
        return _pair(scene, rng)
    thing = scene.objects[0]
    name = _name(thing, coloured=scene.category == "colors" or rng.random() < 0.3)
    if scene.place:
        where = PLACES[scene.place]
        form = rng.choice(
            ("{} {}", "{} {}", "{} {} of the picture", "the picture shows {} {}", "there is {} {}")
        )
        return form.format(name, where)
    return _frame(name, rng)


def _frame(text: str, rng: Random) -> str:
    if rng.random() < 0.65:
        return text
    return rng.choice(FRAMES if rng.random() < 0.6 else LONG).format(text)


def _name(thing: Thing, *, coloured: bool) -> str:
    return with_article(f"{thing.colour} {thing.shape}" if coloured else thing.shape)


def _counted(scene: Scene, rng: Random) -> str:
    thing, count = scene.objects[0], len(scene.objects)
    noun = thing.shape if count == 1 else plural(thing.shape)
    if rng.random() < 0.4:
        noun = f"{thing.colour} {noun}"
    number = NUMBERS[count] if rng.random() < 0.8 else str(count)
    return f"{number} {noun}"


def _pair(scene: Scene, rng: Random) -> str:
    first, second = scene.objects
    relation = scene.relation
    if rng.random() < 0.5:
        first, second, relation = second, first, INVERSE[relation]
    coloured = scene.category == "color_attr" or rng.random() < 0.4
    a, b = _name(first, coloured=coloured), _name(second, coloured=coloured)
    if scene.category != "position":
        pairs = (*(f"{a} and {b}",) * 4, f"{a} with {b}", f"{a} next to {b}")
        return _frame(rng.choice(pairs), rng)
    the_b = f"the {b.split(' ', 1)[1]}"
    forms = (
        *(f"{a} {relation} {b}",) * 4,
        f"{a} {PHRASE[relation]} {b}",
        f"{a} {SYNONYM[relation]} {b}",
        f"{a} is {PHRASE[relation]} {b}",
        f"there are two objects: {a} and {b}, {_article_the(a)} is {PHRASE[relation]} {the_b}",
    )
    return _frame(rng.choice(forms[:6]), rng) if rng.random() < 0.7 else rng.choice(forms)


def _article_the(name: str) -> str:
    return f"the {name.split(' ', 1)[1]}"


def _word(scene: Scene, rng: Random) -> str:
    text = f'the word "{scene.word}"'
    if rng.random() < 0.6:
        text = f"{text} in {scene.word_colour}"
    forms = (
        "{}",
        "{}",
        "{} on a light background",
        "a sign with {}",
        "a picture of {}",
        "{} written in capital letters",
    )
    return rng.choice(forms).format(text)
