from pathlib import PurePosixPath

import numpy as np
import pytest
from i1_bench.benchmarks import Judged, Outcome, Prompt, Request
from i1_bench.statistics import (
    Clusters,
    bootstrap_interval,
    cluster,
    compare,
    estimate,
    mean_over_groups,
)
from i1_hooks import UserError


def test_the_score_is_the_mean_of_the_group_means():
    found = mean_over_groups({"a": [1.0, 0.0, 0.0, 0.0], "b": [1.0]}, seed=0)
    assert found["score"] == pytest.approx((0.25 + 1) / 2)
    assert found["count"] == 5
    assert found["categories"]["a"]["right"] == 1


def test_the_interval_agrees_with_the_normal_approximation():
    scores = np.repeat([1.0, 0.0], [70, 30]).tolist()
    found = mean_over_groups({"a": scores, "b": scores}, seed=0)
    half = 1.96 * np.sqrt(0.7 * 0.3 / 100)
    np.testing.assert_allclose(found["categories"]["a"]["interval"], [0.7 - half, 0.7 + half], atol=0.02)
    np.testing.assert_allclose(
        found["interval"], [0.7 - half / np.sqrt(2), 0.7 + half / np.sqrt(2)], atol=0.015
    )


def test_intervals_repeat_with_the_seed():
    scores = {"a": [1.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.25]}
    assert mean_over_groups(scores, 1) == mean_over_groups(scores, 1)


@pytest.mark.parametrize("groups", [{}, {"a": []}])
def test_nothing_to_score_is_refused(groups):
    with pytest.raises(UserError, match="no pictures"):
        mean_over_groups(groups, 0)


def clusters(credit, weight=None, groups=None, keys=None):
    credit = np.asarray(credit, float)
    return Clusters(
        keys=tuple(keys or map(str, range(len(credit)))),
        groups=np.asarray(groups if groups is not None else np.zeros(len(credit)), int),
        credit=credit,
        weight=np.ones(len(credit)) if weight is None else np.asarray(weight, float),
    )


def judged(rows):
    """Returns pictures and outcomes of rows of prompt, group, credit and weight."""
    found = []
    for number, (key, group, _, _) in enumerate(rows):
        prompt = Prompt(text="t", category=group, split="all", spec=None, key=key)
        request = Request(prompt=prompt, path=PurePosixPath(f"{number}.png"), noise=number)
        found.append(Judged(request=request, answers={}))
    return found, [Outcome(credit=c, weight=w, group=g) for _, g, c, w in rows]


def test_pictures_of_one_prompt_are_one_cluster():
    found = cluster(
        *judged([("a", "x", 1, 1), ("a", "x", 0, 1), ("b", "x", 1, 1), ("c", "y", 3, 4), ("d", "y", 0, 0)])
    )
    assert found.credit.tolist() == [1, 1, 3]
    assert found.weight.tolist() == [2, 1, 4]
    assert estimate(found) == pytest.approx((2 / 3 + 3 / 4) / 2)


def test_without_outcomes_there_is_no_estimate():
    empty = cluster(*judged([("a", "x", 0, 0)]))
    assert estimate(empty) is None
    assert bootstrap_interval(empty, 0) is None


def test_the_interval_of_prompts_agrees_with_the_normal_approximation():
    rng = np.random.default_rng(0)
    values = rng.random(400)
    low, high = bootstrap_interval(clusters(values), 0)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=0.004)


def test_pictures_that_always_agree_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    values = rng.random(100).round()
    once = bootstrap_interval(clusters(values), 0)
    assert bootstrap_interval(clusters(4 * values, np.full(100, 4)), 0) == pytest.approx(once)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        low, high = bootstrap_interval(clusters(rng.random(60) < 0.6), trial)
        covered += low <= 0.6 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_pairing_finds_a_small_difference_between_like_runs():
    rng = np.random.default_rng(0)
    hardness = rng.normal(0.5, 0.3, 300)
    first, second = hardness + rng.normal(0, 0.05, 300), hardness + 0.02 + rng.normal(0, 0.05, 300)
    found = compare(clusters(first), clusters(second), seed=0, margin=0.05)
    assert found.difference == pytest.approx((second - first).mean())
    half = 1.96 * (second - first).std() / np.sqrt(300)
    np.testing.assert_allclose(found.interval, [found.difference - half, found.difference + half], atol=0.002)
    assert found.p_value < 0.01
    assert found.equivalent
    assert not compare(clusters(first), clusters(second), seed=0, margin=0.01).equivalent


def test_chance_gives_small_p_values_as_rarely_as_they_say():
    rng = np.random.default_rng(1)
    p_values = [
        compare(clusters(rng.random(40)), clusters(rng.random(40)), seed=trial).p_value
        for trial in range(200)
    ]
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.06)


def test_only_shared_prompts_are_compared():
    first, second = clusters([1, 0, 1], keys=["a", "b", "c"]), clusters([0, 1], keys=["c", "b"])
    found = compare(first, second, seed=0)
    assert (found.num_prompts, found.first, found.second) == (2, 0.5, 0.5)
    with pytest.raises(UserError, match="share no judged prompt"):
        compare(first, clusters([1], keys=["z"]), seed=0)


def test_groups_and_weights_count_in_a_comparison():
    groups = [0, 0, 1]
    found = compare(clusters([1, 1, 0], [1, 3, 2], groups), clusters([1, 3, 1], [1, 3, 2], groups), seed=0)
    assert found.first == pytest.approx((2 / 4 + 0) / 2)
    assert found.second == pytest.approx((4 / 4 + 1 / 2) / 2)
