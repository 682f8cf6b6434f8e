"""Intervals over seeds, and the verdict that they allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from i1_study.base import Direction

Verdict = Literal["agrees", "disagrees", "can't tell", "nothing published"]
NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
LEAST_SEEDS = 3
"""With fewer seeds no verdict is given: two runs say next to nothing about a third."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: over all seeds and observations.
        low: lower end of the central 95%.
        high: upper end.
    """

    mean: float
    low: float
    high: float


def estimate(values: np.ndarray, seed: int = 0) -> Estimate:
    """Returns the mean of `values` with a bootstrap interval over seeds and observations.

    In each of 2,000 resamplings seeds are drawn with replacement, and for each drawn seed the observations of
    every group are drawn with replacement from that seed's. Drawing n seeds from n gives (n - 1) / n of the
    unbiased variance of their mean, so the deviations from the mean are scaled by sqrt(n / (n - 1)). With one
    seed the interval says nothing about other seeds.

    Args:
        values: (seeds, groups, observations); for a difference, that of paired observations.
        seed: of the resampling.
    """
    num_seeds, num_groups, num = values.shape
    rng = np.random.default_rng(seed)
    mean = float(values.mean())
    rows = rng.integers(0, num_seeds, (NUM_RESAMPLES, num_seeds, 1, 1))
    groups = np.arange(num_groups)[None, :, None]
    means = np.array(
        [values[row, groups, rng.integers(0, num, (num_seeds, num_groups, num))].mean() for row in rows]
    )
    if num_seeds > 1:
        means = mean + (means - mean) * math.sqrt(num_seeds / (num_seeds - 1))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(mean=mean, low=float(low), high=float(high))


def verdict(difference: Estimate, direction: Direction | None, num_seeds: int) -> Verdict:
    """Compares a measured difference, positive for better, with the published direction.

    Args:
        difference: arm minus reference.
        direction: of the published scores; None for none.
        num_seeds: of both arms.
    """
    if direction is None:
        return "nothing published"
    if direction == "mixed" or num_seeds < LEAST_SEEDS or difference.low <= 0 <= difference.high:
        return "can't tell"
    return "agrees" if (difference.low > 0) == (direction == "higher") else "disagrees"
