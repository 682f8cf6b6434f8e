"""The prompts of the scenes benchmark, and what each of them states."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from i1_hooks import UserError, unknown
from i1_scenes import vocabulary as v
from i1_scenes.wording import plural, with_article
from i1_scenes.words import HELD_OUT_WORDS, WORD_LIST

from i1_bench.benchmarks import Prompt


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Objects of one kind that a prompt asks for; None is not stated."""

    shape: str
    colour: str | None = None
    count: int = 1
    place: str | None = None


@dataclass(frozen=True, kw_only=True)
class Word:
    """A written word that a prompt asks for; colour None is not stated."""

    text: str
    colour: str | None = None


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that a prompt states: nothing else may be in the picture.

    Attributes:
        things: the objects; empty for a written word.
        relation: how the first thing stands to the second, one of `i1_scenes.vocabulary.RELATIONS`.
        word: the written word, when there are no things.
    """

    things: tuple[Thing, ...] = ()
    relation: str | None = None
    word: Word | None = None

    def __post_init__(self) -> None:
        if bool(self.things) == bool(self.word):
            raise UserError(f"scene {self!r}: expected either things or a word")
        if self.relation is not None and [t.count for t in self.things] != [1, 1]:
            raise UserError(f"scene {self!r}: a relation needs two things of count 1")


def _thing_text(thing: Thing) -> str:
    noun = thing.shape if thing.colour is None else f"{thing.colour} {thing.shape}"
    return with_article(noun) if thing.place is None else f"{with_article(noun)} {v.PLACES[thing.place]}"


def _count_text(thing: Thing) -> str:
    noun = thing.shape if thing.count == 1 else plural(thing.shape)
    return " ".join(part for part in (v.NUMBERS[thing.count], thing.colour, noun) if part)


Candidate = tuple[str, Scene, bool]
"""A prompt, what it states, and whether that is held out of training."""


def _single_object() -> Iterator[Candidate]:
    for shape in v.SHAPES:
        for place in (None, *v.PLACES):
            thing = Thing(shape=shape, place=place)
            yield _thing_text(thing), Scene(things=(thing,)), (shape, place) in v.HELD_OUT_PLACES


def _two_objects() -> Iterator[Candidate]:
    for first, second in itertools.permutations(v.SHAPES, 2):
        scene = Scene(things=(Thing(shape=first), Thing(shape=second)))
        held_out = frozenset({first, second}) in v.HELD_OUT_PAIRS
        yield f"{with_article(first)} and {with_article(second)}", scene, held_out


def _counting() -> Iterator[Candidate]:
    for count, shape, colour in itertools.product(v.NUMBERS, v.SHAPES, (None, *v.COLOURS)):
        if (colour, shape) not in v.HELD_OUT_COLOUR_SHAPES:
            thing = Thing(shape=shape, colour=colour, count=count)
            yield _count_text(thing), Scene(things=(thing,)), (count, shape) in v.HELD_OUT_COUNTS


def _colors() -> Iterator[Candidate]:
    for colour, shape in itertools.product(v.COLOURS, v.SHAPES):
        thing = Thing(shape=shape, colour=colour)
        yield _thing_text(thing), Scene(things=(thing,)), (colour, shape) in v.HELD_OUT_COLOUR_SHAPES


def _coloured_pairs() -> Iterator[tuple[Thing, Thing]]:
    for first, second in itertools.permutations(v.SHAPES, 2):
        if frozenset({first, second}) not in v.HELD_OUT_PAIRS:
            for one, other in itertools.permutations(v.COLOURS, 2):
                yield Thing(shape=first, colour=one), Thing(shape=second, colour=other)


def _num_held_out(things: tuple[Thing, ...]) -> int:
    return sum((t.colour, t.shape) in v.HELD_OUT_COLOUR_SHAPES for t in things)


def _position() -> Iterator[Candidate]:
    plain = [
        (Thing(shape=a), Thing(shape=b))
        for a, b in itertools.permutations(v.SHAPES, 2)
        if frozenset({a, b}) not in v.HELD_OUT_PAIRS
    ]
    coloured = [pair for pair in _coloured_pairs() if not _num_held_out(pair)]
    for (first, second), relation in itertools.product(plain + coloured, v.RELATIONS):
        text = f"{_thing_text(first)} {relation} {_thing_text(second)}"
        held_out = v.is_held_out_relation(first.shape, relation, second.shape)
        yield text, Scene(things=(first, second), relation=relation), held_out


def _color_attr() -> Iterator[Candidate]:
    for first, second in _coloured_pairs():
        text = f"{_thing_text(first)} and {_thing_text(second)}"
        yield text, Scene(things=(first, second)), _num_held_out((first, second)) > 0


def _words() -> Iterator[Candidate]:
    for text, colour in itertools.product(WORD_LIST, (None, *v.COLOURS)):
        suffix = "" if colour is None else f" in {colour}"
        scene = Scene(word=Word(text=text, colour=colour))
        yield f'the word "{text}"{suffix}', scene, text in HELD_OUT_WORDS


_CANDIDATES: dict[str, Callable[[], Iterator[Candidate]]] = {
    "single_object": _single_object,
    "two_objects": _two_objects,
    "counting": _counting,
    "colors": _colors,
    "position": _position,
    "color_attr": _color_attr,
    "words": _words,
}


def _coverage(scene: Scene) -> tuple[object, ...]:
    """Returns what prompts are balanced over: all that is stated, less colours that are only an addition."""
    if scene.word is not None:
        return (scene.word.text,)
    if scene.relation is None and len(scene.things) == 2 and scene.things[0].colour is not None:
        return ()
    return (
        scene.relation,
        tuple((t.shape, t.count, t.place, t.colour is None) for t in scene.things),
    )


def prompts(split: str, category: str, n: int, seed: int) -> list[Prompt]:
    """Returns `n` prompts of one category, drawn evenly and without replacement as long as there are enough.

    The first prompts do not depend on `n`. Where colours are only an addition (counting, position, words),
    prompts are balanced over what the category is about, then over colours.

    Args:
        split: `"seen"` or `"unseen"`: without or with a combination that is held out of training.
        category: one of `i1_scenes.vocabulary.CATEGORIES`.
        n: how many.
        seed: of the order.

    Raises:
        UserError: for an unknown split or category, or a negative `n`.
    """
    if split not in v.SPLITS:
        raise unknown("split", split, v.SPLITS)
    if category not in _CANDIDATES:
        raise unknown("category", category, _CANDIDATES)
    if n < 0:
        raise UserError(f"{n} prompts: expected a number of at least 0")
    rng = np.random.default_rng([seed, zlib.crc32(f"{split}/{category}".encode())])
    groups: dict[tuple[object, ...], list[Prompt]] = {}
    for text, scene, held_out in _CANDIDATES[category]():
        if held_out == (split == "unseen"):
            prompt = Prompt(text=text, category=category, split=split, spec=scene)
            groups.setdefault(_coverage(scene), []).append(prompt)
    shuffled = [[members[i] for i in rng.permutation(len(members))] for members in groups.values()]
    chosen: list[Prompt] = []
    for lap in itertools.count():
        if len(chosen) >= n:
            return chosen[:n]
        for group in rng.permutation(len(shuffled)):
            chosen.append(shuffled[group][lap % len(shuffled[group])])
    raise AssertionError("itertools.count ended")
