"""Scores of pictures: one line each, and means with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from i1_hooks import UserError

from i1_bench.benchmarks import Prompt
from i1_bench.judges import Verdict

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95


def mean_over_groups(groups: Mapping[str, Sequence[float]], seed: int) -> dict[str, Any]:
    """Returns the mean of each group and the mean of these means, each with a bootstrap interval.

    The interval is the central 95% of 2,000 resamplings. Pictures are drawn with replacement within their
    group, so that every resampling has as many pictures in each group as the run itself.

    Args:
        groups: the scores in [0, 1] of each group's pictures.
        seed: of the resampling.

    Returns:
        `score`, `interval` and `count`, and under `categories` these three and `right` for each group.

    Raises:
        UserError: when there is no group, or one without pictures.
    """
    if not groups or not all(len(scores) for scores in groups.values()):
        raise UserError("no pictures to score: expected at least one in each category")
    rng = np.random.default_rng(seed)
    resampled: list[np.ndarray] = []
    categories: dict[str, Any] = {}
    for name, scores in groups.items():
        values = np.asarray(scores, np.float64)
        means = values[rng.integers(0, len(values), (NUM_RESAMPLES, len(values)))].mean(1)
        resampled.append(means)
        categories[name] = {
            "score": float(values.mean()),
            "interval": _interval(means),
            "count": len(values),
            "right": int((values == 1).sum()),
        }
    return {
        "score": float(np.mean([entry["score"] for entry in categories.values()])),
        "interval": _interval(np.mean(resampled, axis=0)),
        "count": sum(entry["count"] for entry in categories.values()),
        "categories": categories,
    }


def _interval(means: np.ndarray) -> list[float]:
    tail = (1 - CONFIDENCE) / 2
    return [float(q) for q in np.quantile(means, [tail, 1 - tail])]


def result_line(prompt: Prompt, verdict: Verdict) -> dict[str, Any]:
    """Returns what is recorded about one picture, JSON-ready."""
    return {
        "prompt": prompt.text,
        "category": prompt.category,
        "split": prompt.split,
        "right": verdict.right,
        "reason": verdict.reason,
        "seen": verdict.seen,
    }
