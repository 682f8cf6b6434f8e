import itertools

import pytest
from i1_bench.scenes import Scene, Thing, Word, prompts
from i1_hooks import UserError
from i1_scenes import vocabulary as v
from i1_scenes.words import HELD_OUT_WORDS, WORD_LIST

ALL = v.CATEGORIES


def held_out(prompt):
    """Counts, independently of the enumeration, the held-out combinations that a prompt names."""
    scene = prompt.spec
    if scene.word:
        return scene.word.text in HELD_OUT_WORDS
    things = scene.things
    found = sum((t.colour, t.shape) in v.HELD_OUT_COLOUR_SHAPES for t in things)
    found += sum((t.shape, t.place) in v.HELD_OUT_PLACES for t in things)
    found += sum((t.count, t.shape) in v.HELD_OUT_COUNTS for t in things)
    if len(things) == 2:
        found += {things[0].shape, things[1].shape} in v.HELD_OUT_PAIRS
    if scene.relation:
        a, b = (t.shape for t in things)
        found += (a, scene.relation, b) in v.HELD_OUT_RELATIONS
        found += (b, v.INVERSE[scene.relation], a) in v.HELD_OUT_RELATIONS
    return found


@pytest.mark.parametrize("category", ALL)
def test_seen_prompts_name_nothing_held_out_and_unseen_ones_do(category):
    assert not any(held_out(prompt) for prompt in prompts("seen", category, 300, 0))
    counts = {held_out(prompt) for prompt in prompts("unseen", category, 300, 0)}
    assert counts == ({1, 2} if category == "color_attr" else {1})


@pytest.mark.parametrize(("split", "category"), list(itertools.product(v.SPLITS, ALL)))
def test_prompts_repeat_and_the_first_do_not_depend_on_the_number(split, category):
    assert prompts(split, category, 40, 3)[:7] == prompts(split, category, 7, 3)
    assert prompts(split, category, 40, 3) != prompts(split, category, 40, 4)
    assert {(p.split, p.category) for p in prompts(split, category, 5, 0)} == {(split, category)}


@pytest.mark.parametrize(
    ("split", "category", "number"),
    [
        ("seen", "colors", 42),
        ("unseen", "colors", 6),
        ("seen", "two_objects", 26),
        ("unseen", "two_objects", 4),
        ("seen", "single_object", 32),
        ("unseen", "single_object", 4),
    ],
)
def test_prompts_are_used_evenly(split, category, number):
    texts = [prompt.text for prompt in prompts(split, category, 2 * number, 0)]
    assert len(set(texts)) == number
    assert all(texts.count(text) == 2 for text in texts)


def test_words_are_used_evenly():
    texts = [prompt.spec.word.text for prompt in prompts("unseen", "words", len(HELD_OUT_WORDS), 0)]
    assert sorted(texts) == sorted(HELD_OUT_WORDS)
    assert len(WORD_LIST) == len(set(WORD_LIST))
    assert all(
        word.isascii() and word.isalpha() and word.isupper() and 2 <= len(word) <= 4 for word in WORD_LIST
    )


def test_wording():
    texts = {p.text for category in ALL for split in v.SPLITS for p in prompts(split, category, 3000, 0)}
    assert {
        "a star",
        "a star on the left",
        "a ring in the middle",
        "an orange circle",
        "a circle and a star",
        "three circles",
        "two black crosses",
        "a red circle above a blue square",
        "a square right of a circle",
        "a red circle and a blue square",
        'the word "CAT"',
        'the word "CAT" in red',
    } <= texts


def test_what_a_prompt_states():
    scenes = {p.text: p.spec for category in ALL for p in prompts("seen", category, 6000, 0)}
    assert scenes["three circles"] == Scene(things=(Thing(shape="circle", count=3),))
    assert scenes['the word "CAT" in red'] == Scene(word=Word(text="CAT", colour="red"))
    assert scenes["a red circle above a blue square"] == Scene(
        things=(Thing(shape="circle", colour="red"), Thing(shape="square", colour="blue")), relation="above"
    )


@pytest.mark.parametrize(
    "arguments", [("sen", "colors", 1, 0), ("seen", "colours", 1, 0), ("seen", "colors", -1, 0)]
)
def test_mistakes_are_named(arguments):
    with pytest.raises(UserError, match=r"sen|colours|-1"):
        prompts(*arguments)


def test_a_scene_is_objects_or_a_word():
    with pytest.raises(UserError, match="either"):
        Scene()
    with pytest.raises(UserError, match="relation"):
        Scene(things=(Thing(shape="star", count=2),), relation="above")
