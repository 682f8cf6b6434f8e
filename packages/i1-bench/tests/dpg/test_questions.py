import pytest
from i1_bench.dpg.questions import COLUMNS, Question, parse_questions
from i1_bench.dpg.scoring import score_item, score_run
from i1_hooks import UserError


def row(item, number, dependency="0", category="entity - whole (cat)"):
    values = (item, "", "", str(number), dependency, "entity", "whole", category, f"Is {number} there?")
    return dict(zip(COLUMNS, values, strict=True))


ROWS = [row("a", 1), row("a", 2, "1"), row("b", 1), row("a", 3, "2", "attribute - color (cat)")]


def numbers(questions):
    return {item: [question.number for question in found] for item, found in questions.items()}


def test_the_published_reader_drops_the_first_row_and_the_first_of_two_blocks():
    assert numbers(parse_questions(ROWS)) == {"a": [3], "b": [1]}
    assert numbers(parse_questions(ROWS, fixed=True)) == {"a": [1, 2, 3], "b": [1]}


def test_a_question_knows_its_parents_and_categories():
    question = parse_questions(ROWS, fixed=True)["a"][2]
    assert (question.parents, question.category, question.broad_category) == (
        (2,),
        "attribute - color",
        "attribute",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proposition_id": "one"}, "line 3: proposition_id 'one'"),
        ({"dependency": "1;2"}, "dependency '1;2'"),
        ({"tuple": None}, "line 3: no column tuple; expected item_id"),
    ],
)
def test_a_damaged_question_file_is_named_by_line(change, message):
    with pytest.raises(UserError, match=message):
        parse_questions([ROWS[0], {**ROWS[1], **change}])


CHILD_FIRST = [
    Question(number=2, parents=(1,), text="", category="a - b"),
    Question(number=1, parents=(3,), text="", category="a - c"),
    Question(number=3, parents=(), text="", category="d - e"),
]


def test_fixed_lets_no_child_of_a_failed_parent_count():
    answers = [{1: "yes", 2: "yes", 3: "no"}]
    assert score_item(CHILD_FIRST, answers).mean == pytest.approx(1 / 3)
    assert score_item(CHILD_FIRST, answers, fixed=True).mean == 0


def test_fixed_takes_any_spelling_of_yes_and_all_pictures():
    answers = {"x": [{1: "Yes.", 2: "yes", 3: " yes"}, {1: "no", 2: "no", 3: "no"}]}
    reference = score_run({"x": CHILD_FIRST}, answers)
    fixed = score_run({"x": CHILD_FIRST}, answers, fixed=True)
    assert (reference.score, fixed.score) == (0, 50)
    assert reference.categories == {"a": 0, "d": 0}
    assert fixed.categories == {"a": 50, "d": 50}


def test_what_cannot_be_scored_is_named():
    found = score_run({"x": CHILD_FIRST[:1]}, {"x": [{2: "yes"}], "y": [{}]})
    assert found.score is None
    assert found.failed == {
        "x": "a question depends on question 1, which is not there",
        "y": "no questions about y",
    }
