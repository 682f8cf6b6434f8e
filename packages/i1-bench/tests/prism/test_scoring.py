import pytest
from i1_bench.prism.relaxed_json import UNDEFINED, parse
from i1_bench.prism.replies import rate, rate_fixed
from i1_bench.prism.scoring import ASPECTS, TRACKS, average, final_fixed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{score: +5, 'a': -.5, \"b\": 5., c: 1e2,}", {"score": 5, "a": -0.5, "b": 5.0, "c": 100.0}),
        ("[0x1F, 0b11, 007]", [31, 3, 7]),
        ("/* a */ 'it\\'s \\u0041\\x42' // b", "it's AB"),
        ("{a: 1, a: 2}", {"a": 2}),
        ("[-Infinity, true, null]", [float("-inf"), True, None]),
    ],
)
def test_relaxed_json_is_read(text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    "text", ["", "{", "{a}", "{a: }", "[1 2]", "1 2", "'a", "1_0", "eight", "+true", '{"a: 1}']
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r"at character|does not end"):
        parse(text)


def test_undefined_and_bare_values_stop_the_published_code_but_not_this_one():
    assert parse("undefined") is UNDEFINED
    for reply in ("undefined", "5", "true", '"my score"'):
        rating = rate(reply)
        assert (rating.stops, rating.score) == (True, None), reply


def test_a_deeply_nested_reply_is_no_score():
    assert rate("[" * 100_000).score is None


def test_fixed_counts_numbers_from_0_to_10_only():
    replies = [f'{{"score": {value}}}' for value in ("7", "12", "-2", "true", "NaN", "10")]
    assert [rate_fixed(reply) for reply in replies] == [7, None, None, None, None, 10]
    assert [rate(reply).score for reply in replies[:4]] == [7, 12, -2, True]


def test_fixed_gives_every_track_the_same_weight():
    scores = {aspect: {track: [4.0] for track in TRACKS} for aspect in ASPECTS}
    scores["alignment"] = {**scores["alignment"], "style": [10.0] * 20}
    assert final_fixed(scores) == pytest.approx((13 * 4 + 10) / 14)
    assert average(scores).final == pytest.approx((13 * 4 + 20 * 10) / 33)
    del scores["aesthetic"]["style"]
    assert final_fixed(scores) is None
