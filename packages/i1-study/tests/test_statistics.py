import numpy as np
import pytest
from i1_hooks import UserError, override
from i1_study.base import Arm, Published, check_arms
from i1_study.recipe import baseline
from i1_study.statistics import Estimate, estimate, verdict


def test_an_interval_covers_the_mean_of_new_seeds():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        seeds = rng.normal(0.3, 0.1, (5, 1, 1)) + rng.normal(0, 0.05, (5, 2, 8))
        found = estimate(seeds, seed=trial)
        assert found.low < found.mean < found.high
        covered += found.low <= 0.3 <= found.high
    assert 85 <= covered <= 100


def test_equal_observations_have_no_width():
    found = estimate(np.full((3, 2, 4), 0.25))
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_the_spread_of_seeds_is_that_of_their_unbiased_variance():
    seeds = np.array([0.0, 1.0, 2.0, 3.0])[:, None, None] * np.ones((4, 1, 1))
    found = estimate(seeds)
    standard_error = np.sqrt(np.var([0, 1, 2, 3], ddof=1) / 4)
    assert found.high - found.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)


def around(low, high):
    return Estimate(mean=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("interval", "direction", "seeds", "expected"),
    [
        ((0.1, 0.2), "higher", 3, "agrees"),
        ((-0.2, -0.1), "lower", 3, "agrees"),
        ((-0.2, -0.1), "higher", 3, "disagrees"),
        ((0.1, 0.2), "lower", 3, "disagrees"),
        ((-0.1, 0.2), "higher", 3, "can't tell"),
        ((0.0, 0.0), "higher", 3, "can't tell"),
        ((0.1, 0.2), "higher", 2, "can't tell"),
        ((0.1, 0.2), "mixed", 3, "can't tell"),
        ((0.1, 0.2), None, 3, "nothing published"),
    ],
)
def test_verdicts(interval, direction, seeds, expected):
    assert verdict(around(*interval), direction, seeds) == expected


def test_a_published_direction_needs_all_metrics():
    scores = {"a": (1.0, 2.0), "b": (2.0, 3.0), "c": (0.5, 3.0), "d": (0.0, 1.0)}
    published = Published(metrics=("x", "y"), scores=scores, source="somewhere")
    assert [published.direction(arm, "a") for arm in "bcd"] == ["higher", "mixed", "lower"]
    assert published.direction("e", "a") is None


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ((), "at least 2"),
        ((Arm(name="a", recipe=baseline()), Arm(name="b", recipe=baseline())), "the same recipe"),
        (
            (
                Arm(name="a", recipe=baseline()),
                Arm(name="a", recipe=override(baseline(), ["model.backbone.depth=3"])),
            ),
            "its own name",
        ),
    ],
)
def test_arms_that_cannot_be_compared(arms, message):
    with pytest.raises(UserError, match=message):
        check_arms(arms)
