import numpy as np
import pytest
from i1_bench.scoring import mean_over_groups
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
