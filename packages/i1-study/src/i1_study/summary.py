"""From the trials of a study to its summary: estimates of every arm, differences, verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from i1_scenes.vocabulary import WORDS

from i1_study.base import Published
from i1_study.statistics import Estimate, estimate, verdict

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""For each arm the result of each seed, as `run_trial` returns it; the reference comes first."""


def summarise(results: Results, published: Published | None) -> list[dict[str, Any]]:
    """Returns one JSON-ready row per arm, the reference first.

    `score` is the mean over the object categories of seen and unseen prompts, `words` the mean over the
    words of both. A difference from the reference is positive where the arm is better, also for the loss.
    Seeds that failed in either arm are left out and counted.
    """
    reference = next(iter(results))
    return [
        {
            "arm": name,
            "reference": name == reference,
            "failed_seeds": sum("failed" in result for result in results[name]),
            **_own(_good(results[name])),
            **({} if name == reference else _compared(name, reference, results, published)),
            "published": _numbers(published, name),
        }
        for name in results
    ]


def _good(seeds: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [result for result in seeds if "failed" not in result]


def _own(good: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not good:
        return {"score": None, "words": None, "held_out_loss": None, "seeds": []}
    scores, words, losses = _scores(good), _scores(good, words=True), _losses(good)
    return {
        "score": _json(estimate(scores)),
        "words": _json(estimate(words)),
        "held_out_loss": _json(estimate(losses)),
        "seeds": [
            {"score": float(s.mean()), "words": float(w.mean()), "held_out_loss": float(x.mean())}
            for s, w, x in zip(scores, words, losses, strict=True)
        ],
    }


def _compared(name: str, reference: str, results: Results, published: Published | None) -> dict[str, Any]:
    direction = None if published is None else published.direction(name, reference)
    pairs = [
        (arm, other)
        for arm, other in zip(results[name], results[reference], strict=True)
        if "failed" not in arm and "failed" not in other
    ]
    if not pairs:
        return {"published_direction": direction, "verdict": "can't tell", "verdict_by_loss": "can't tell"}
    arms, others = [arm for arm, _ in pairs], [other for _, other in pairs]
    score = estimate(_scores(arms) - _scores(others))
    loss = estimate(_losses(others) - _losses(arms))
    return {
        "score_difference": _json(score),
        "held_out_loss_improvement": _json(loss),
        "published_direction": direction,
        "verdict": verdict(score, direction, len(pairs)),
        "verdict_by_loss": verdict(loss, direction, len(pairs)),
    }


def _scores(seeds: Sequence[Mapping[str, Any]], *, words: bool = False) -> np.ndarray:
    """Returns rightness (seeds, groups, pictures) of the object categories, or of the words."""
    return np.array(
        [
            [
                rights
                for group, rights in sorted(result["pictures"].items())
                if (group.partition("/")[2] == WORDS) == words
            ]
            for result in seeds
        ],
        np.float64,
    )


def _losses(seeds: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Returns held-out losses (seeds, 1, images)."""
    return np.array([[result["held_out"]] for result in seeds], np.float64)


def _numbers(published: Published | None, name: str) -> dict[str, float] | None:
    if published is None or name not in published.scores:
        return None
    return dict(zip(published.metrics, published.scores[name], strict=True))


def _json(value: Estimate) -> dict[str, float]:
    return dataclasses.asdict(value)
