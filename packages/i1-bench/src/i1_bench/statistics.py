"""Scores from outcomes, bootstrap intervals, and paired comparison of two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from i1_hooks import UserError

from i1_bench.benchmarks import Judged, Outcome

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
_BATCH = 250


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Outcomes added up by prompt, since pictures of one prompt are not independent.

    Attributes:
        keys: the prompt of each cluster.
        groups: index of the group of each cluster, (n,).
        credit: sum of the credit of each cluster, (n,).
        weight: sum of the weight of each cluster, (n,).
    """

    keys: tuple[str, ...]
    groups: np.ndarray
    credit: np.ndarray
    weight: np.ndarray


def cluster(judged: Sequence[Judged], outcomes: Sequence[Outcome]) -> Clusters:
    """Adds up the outcomes of each prompt; prompts of which nothing counts are left out."""
    sums: dict[tuple[str, str], list[float]] = {}
    for one, outcome in zip(judged, outcomes, strict=True):
        if outcome.weight:
            prompt = one.request.prompt
            entry = sums.setdefault((outcome.group, prompt.key or prompt.text), [0.0, 0.0])
            entry[0] += outcome.credit
            entry[1] += outcome.weight
    names = {group: index for index, group in enumerate(dict.fromkeys(group for group, _ in sums))}
    values = np.array(list(sums.values()), np.float64).reshape(-1, 2)
    return Clusters(
        keys=tuple(f"{group}\n{key}" for group, key in sums),
        groups=np.array([names[group] for group, _ in sums], np.int64),
        credit=values[:, 0],
        weight=values[:, 1],
    )


def estimate(clusters: Clusters) -> float | None:
    """Returns the mean over groups of `sum of credit / sum of weight`; None without outcomes."""
    if not len(clusters.keys):
        return None
    return float(_estimates(clusters, clusters.credit[None], clusters.weight[None])[0])


def _estimates(clusters: Clusters, credit: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the estimate of each row of clusters' credits and weights, (rows,)."""
    member = np.eye(int(clusters.groups.max()) + 1)[clusters.groups]
    return ((credit @ member) / (weight @ member)).mean(1)


def bootstrap_interval(clusters: Clusters, seed: int) -> tuple[float, float] | None:
    """Returns the central 95% of the estimates of 2,000 resamplings; None without outcomes.

    Prompts are drawn with replacement within their group, so that every resampling has as many prompts in
    each group as the run.

    Args:
        clusters: of a run.
        seed: of the resampling.
    """
    if not len(clusters.keys):
        return None
    draws = [
        _estimates(clusters, counts * clusters.credit, counts * clusters.weight)
        for counts in _resamplings(clusters.groups, seed)
    ]
    return _central(np.concatenate(draws))


def _resamplings(groups: np.ndarray, seed: int) -> list[np.ndarray]:
    """Returns how often each cluster is drawn, float (rows, n) each, `NUM_RESAMPLES` rows in all."""
    rng = np.random.default_rng(seed)
    batches = []
    for _ in range(NUM_RESAMPLES // _BATCH):
        counts = np.zeros((_BATCH, len(groups)))
        for group in range(int(groups.max()) + 1):
            members = np.nonzero(groups == group)[0]
            drawn = rng.integers(0, len(members), (_BATCH, len(members)))
            offsets = np.arange(_BATCH)[:, None] * len(members)
            flat = np.bincount((drawn + offsets).ravel(), minlength=_BATCH * len(members))
            counts[:, members] = flat.reshape(_BATCH, len(members))
        batches.append(counts)
    return batches


def _central(values: np.ndarray) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The difference of two runs on the prompts that both have.

    Attributes:
        first: score of the first run on the shared prompts.
        second: score of the second one.
        difference: second less first.
        interval: 95% bootstrap interval of the difference over prompts.
        p_value: share of random exchanges between the runs, prompt by prompt, that differ at least as much.
        equivalent: whether the interval lies within the margin on both sides; None without a margin.
        num_prompts: prompts compared.
    """

    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    equivalent: bool | None
    num_prompts: int


def compare(first: Clusters, second: Clusters, *, seed: int, margin: float | None = None) -> Comparison:
    """Compares two runs of one benchmark, paired by prompt.

    The p-value is that of a sign-flip test: in 2,000 draws each prompt's outcomes go to one run or the other
    by chance; the observed difference counts as one more draw.

    Args:
        first: outcomes of one run.
        second: outcomes of the other one.
        seed: of the resampling and the exchanges.
        margin: the largest difference that does not matter.

    Raises:
        UserError: when the runs share no prompt.
    """
    place = {key: index for index, key in enumerate(second.keys)}
    pairs = [(index, place[key]) for index, key in enumerate(first.keys) if key in place]
    if not pairs:
        raise UserError("the runs share no judged prompt: compare runs of the same benchmark and seed")
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    names = np.unique(first.groups[a], return_inverse=True)[1]
    shared = Clusters(
        keys=tuple(first.keys[i] for i in a), groups=names, credit=first.credit[a], weight=first.weight[a]
    )
    other_credit, other_weight = second.credit[b], second.weight[b]

    def difference(counts: np.ndarray, swapped: np.ndarray) -> np.ndarray:
        credits = [
            np.where(swapped, y, x) * counts
            for x, y in ((shared.credit, other_credit), (other_credit, shared.credit))
        ]
        weights = [
            np.where(swapped, y, x) * counts
            for x, y in ((shared.weight, other_weight), (other_weight, shared.weight))
        ]
        return _estimates(shared, credits[1], weights[1]) - _estimates(shared, credits[0], weights[0])

    kept = np.zeros(len(a), bool)
    observed = float(difference(np.ones((1, len(a))), kept)[0])
    resampled = np.concatenate([difference(counts, kept) for counts in _resamplings(names, seed)])
    rng = np.random.default_rng([seed, 1])
    flipped = np.concatenate(
        [
            difference(np.ones((_BATCH, len(a))), rng.random((_BATCH, len(a))) < 0.5)
            for _ in range(NUM_RESAMPLES // _BATCH)
        ]
    )
    extreme = int((np.abs(flipped) >= abs(observed) - 1e-12).sum())
    interval = _central(resampled)
    score = estimate(shared)
    assert score is not None
    return Comparison(
        first=score,
        second=score + observed,
        difference=observed,
        interval=interval,
        p_value=(extreme + 1) / (NUM_RESAMPLES + 1),
        equivalent=None if margin is None else -margin <= interval[0] and interval[1] <= margin,
        num_prompts=len(a),
    )


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
            "interval": list(_central(means)),
            "count": len(values),
            "right": int((values == 1).sum()),
        }
    return {
        "score": float(np.mean([entry["score"] for entry in categories.values()])),
        "interval": list(_central(np.mean(resampled, axis=0))),
        "count": sum(entry["count"] for entry in categories.values()),
        "categories": categories,
    }
