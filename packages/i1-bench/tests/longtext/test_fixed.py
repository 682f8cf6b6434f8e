from i1_bench.longtext.scoring import match, text_score


def test_fixed_removes_the_sentinel_in_any_spelling():
    truth = ["no text recognized today"]
    assert match(truth, "No text recognized").matched == 3
    assert match(truth, "No text recognized", fixed=True).matched == 0
    assert match(truth, "no text today", fixed=True).matched == 3


def test_fixed_composes_accents():
    assert match(["cafe\u0301"], "caf\xe9").matched == 0
    assert match(["cafe\u0301"], "caf\xe9", fixed=True).matched == 1


def test_long_prompts_weigh_more_and_nothing_is_no_score():
    assert text_score([match(["a b c"], "a b c"), match(["d"], "")]) == 0.75
    assert text_score([]) is None
