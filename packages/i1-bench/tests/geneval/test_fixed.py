from i1_bench.geneval.summary import Outcome, overall_fixed, summarise


def outcomes(*rows):
    return [Outcome(prompt_index=index, tag=tag, correct=correct) for index, tag, correct in rows]


def test_every_prompt_has_one_vote_whatever_the_number_of_its_pictures():
    found = outcomes((0, "colors", True), (0, "colors", True), (0, "colors", True), (1, "colors", False))
    assert summarise(found).overall == 0.75
    assert overall_fixed(found, ["colors"]) == 0.5


def test_a_tag_without_pictures_leaves_no_score():
    found = outcomes((0, "colors", True))
    assert summarise(found).overall == 1.0
    assert overall_fixed(found, ["colors", "position"]) is None


def test_nothing_judged_is_no_score():
    assert summarise([]).overall is None
