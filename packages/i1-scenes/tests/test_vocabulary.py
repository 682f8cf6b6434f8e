import itertools
import re
from pathlib import Path

import pytest
from i1_scenes import vocabulary as v
from i1_scenes.wording import plural, with_article
from i1_scenes.words import HELD_OUT_WORDS, TRAINING_WORDS, WORD_LIST


def test_held_out_combinations_name_things_of_the_vocabulary():
    assert all(colour in v.COLOURS and shape in v.SHAPES for colour, shape in v.HELD_OUT_COLOUR_SHAPES)
    assert all(len(pair) == 2 and pair <= set(v.SHAPES) for pair in v.HELD_OUT_PAIRS)
    assert all(count in v.NUMBERS and shape in v.SHAPES for count, shape in v.HELD_OUT_COUNTS)
    assert all(shape in v.SHAPES and place in v.PLACES for shape, place in v.HELD_OUT_PLACES)
    for first, relation, second in v.HELD_OUT_RELATIONS:
        assert {first, second} <= set(v.SHAPES)
        assert relation in v.RELATIONS


def test_every_shape_and_colour_keeps_combinations_to_train_on():
    for shape in v.SHAPES:
        assert sum((colour, shape) in v.HELD_OUT_COLOUR_SHAPES for colour in v.COLOURS) == 1
    for colour in v.COLOURS:
        assert sum((colour, shape) in v.HELD_OUT_COLOUR_SHAPES for shape in v.SHAPES) <= 1


def test_an_arrangement_is_held_out_either_way_round():
    found = [
        (first, relation, second)
        for first, second in itertools.permutations(v.SHAPES, 2)
        for relation in v.RELATIONS
        if v.is_held_out_relation(first, relation, second)
    ]
    assert len(found) == 2 * len(v.HELD_OUT_RELATIONS)
    assert {(second, v.INVERSE[relation], first) for first, relation, second in found} == set(found)


def test_words_are_short_capital_and_divided():
    assert all(re.fullmatch("[A-Z]{2,4}", word) for word in WORD_LIST)
    assert sorted({*TRAINING_WORDS, *HELD_OUT_WORDS}) == sorted(WORD_LIST)
    assert not HELD_OUT_WORDS & set(TRAINING_WORDS)


@pytest.mark.parametrize(
    ("shape", "several"), [("circle", "circles"), ("cross", "crosses"), ("ring", "rings")]
)
def test_plurals(shape, several):
    assert plural(shape) == several


def test_articles():
    assert (with_article("orange ring"), with_article("ring")) == ("an orange ring", "a ring")


def test_the_example_of_the_readme_runs():
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
