"""The stage that scores recorded answers; it needs no model."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i1_hooks import UserError, to_dict

from i1_bench.benchmarks import Benchmark, BenchmarkConfig, Judged, Outcome, Request
from i1_bench.judges import Verdict
from i1_bench.stages.answers import AnswerFile
from i1_bench.stages.run_folder import JUDGED, RESULTS, SCORES, identity_of, write_json, write_lines
from i1_bench.statistics import bootstrap_interval, cluster

_DISTRIBUTIONS = ("i1-bench", "i1-sample", "i1-model", "i1-scenes", "jax", "numpy", "pillow", "scipy")
_REASON_LENGTH = 300


def read_judged(benchmark: Benchmark, requests: Sequence[Request], output: Path) -> list[Judged]:
    """Returns every picture of a run with the answers recorded about it.

    Raises:
        UserError: when nothing was judged in the folder.
    """
    path = output / JUDGED
    if not path.exists():
        raise UserError(f"{output} has no {JUDGED}: run `i1 bench judge` first")
    answers: dict[str, dict[str, Any]] = {}
    for row in AnswerFile(path).rows():
        answers.setdefault(row["image"], {})[row["question"]] = row["answer"]
    judged = []
    for request in requests:
        given = answers.get(str(request.path), {})
        asked = {question.name for question in benchmark.questions(request)}
        judged.append(Judged(request=request, answers={k: v for k, v in given.items() if k in asked}))
    return judged


def score_run(
    config: BenchmarkConfig,
    requests: Sequence[Request],
    output: Path,
    *,
    seed: int,
    count: int,
) -> dict[str, Any]:
    """Writes `scores.json` and `results.jsonl` from `judged.jsonl`.

    Args:
        config: the benchmark.
        requests: the pictures of the run.
        output: the folder of the run.
        seed: of the bootstrap.
        count: pictures of each prompt or category.

    Returns:
        what `scores.json` holds: `score` as published with `interval`, `score_fixed`, `categories`, `counts`
        (pictures and answers expected and there), the identity of the run and of its judges, and what else
        the benchmark adds.
    """
    benchmark = config.build()
    judged = read_judged(benchmark, requests, output)
    scores, outcomes = benchmark.score(judged, seed), benchmark.outcomes(judged)
    interval = bootstrap_interval(cluster(judged, outcomes), seed)
    record = {
        **scores.details,
        "score": scores.score,
        "interval": None if interval is None else [benchmark.scale * bound for bound in interval],
        "score_fixed": scores.fixed,
        "scale": benchmark.scale,
        "categories": dict(scores.categories),
        "counts": count_answers(benchmark, judged, outcomes),
        "reference_report": list(scores.reference_report),
        **identity_of(output),
        "images_per_category": count,
        "configuration": to_dict(config),
        "versions": _versions(),
    }
    write_lines(output / RESULTS, [_row(*pair) for pair in zip(judged, outcomes, strict=True)])
    write_json(output / SCORES, record)
    return record


def count_answers(
    benchmark: Benchmark, judged: Sequence[Judged], outcomes: Sequence[Outcome]
) -> dict[str, int]:
    """Returns how many pictures and answers a run has of those that it should have.

    Returns:
        `pictures` expected, `judged` with every answer, `answers_expected`, `answers`, and `counted`:
        pictures of which something counts in the score.
    """
    expected = [len(benchmark.questions(one.request)) for one in judged]
    return {
        "pictures": len(judged),
        "judged": sum(len(one.answers) == wanted for one, wanted in zip(judged, expected, strict=True)),
        "answers_expected": sum(expected),
        "answers": sum(len(one.answers) for one in judged),
        "counted": sum(outcome.weight > 0 for outcome in outcomes),
    }


def is_complete(scores: dict[str, Any]) -> bool:
    """Tells whether every picture of a run was judged."""
    return scores["counts"]["judged"] == scores["counts"]["pictures"]


def _row(one: Judged, outcome: Outcome) -> dict[str, Any]:
    prompt = one.request.prompt
    row = {
        "image": str(one.request.path),
        "prompt": prompt.text,
        "category": prompt.category,
        "split": prompt.split,
        "key": prompt.key or prompt.text,
        "credit": outcome.credit,
        "weight": outcome.weight,
        "group": outcome.group,
        "right": outcome.weight > 0 and outcome.credit >= outcome.weight,
        "reason": outcome.reason[:_REASON_LENGTH],
    }
    verdict = one.answers.get("verdict")
    return {**row, "seen": Verdict.from_answer(verdict).seen} if verdict is not None else row


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
