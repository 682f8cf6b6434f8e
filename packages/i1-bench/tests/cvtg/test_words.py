import pytest
from i1_bench.cvtg.scoring import total
from i1_bench.cvtg.words import levenshtein, read


def test_fixed_needs_a_repeated_word_as_often_as_it_is_wanted():
    wanted = ["stop", "stop", "now"]
    assert read(wanted, ["Stop NOW"]).correct == 3
    assert read(wanted, ["Stop NOW"], fixed=True).correct == 2


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ab", "ba", 2)]
)
def test_levenshtein(a, b, distance):
    assert levenshtein(a, b) == levenshtein(b, a) == distance


def test_every_word_weighs_the_same():
    found = total([read(["a", "b", "c"], ["a b c"]), read(["d"], [])], [0.5, 1.0])
    assert (found.word_accuracy, found.clip_score) == (0.75, 0.75)
    assert found.ned == pytest.approx(0.75, abs=1e-5)
    assert total([]).clip_score is None
