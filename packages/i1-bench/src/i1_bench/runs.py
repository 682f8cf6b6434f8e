"""One run of a benchmark in one call: generate, judge, score, and the contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i1_hooks import UserError

from i1_bench.benchmarks import Benchmark, BenchmarkConfig, Request
from i1_bench.generation import Generator
from i1_bench.reports.sheet_file import write_sheet
from i1_bench.stages.generate import generate_run
from i1_bench.stages.judge import Progress, judge_run
from i1_bench.stages.pictures import Folder
from i1_bench.stages.run_folder import IMAGES, PROMPTS, claim, write_lines
from i1_bench.stages.score import is_complete, score_run
from i1_bench.stages.settings import RunSettings


class IncompleteError(UserError):
    """A run in which a picture or an answer is missing; its scores are written all the same."""


def run_benchmark(
    config: BenchmarkConfig,
    generator: Generator | None,
    *,
    images_per_category: int | None = None,
    seed: int,
    output: Path,
    images: Path | None = None,
    allow_incomplete: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Runs all stages of a benchmark in one folder, doing only what an earlier call has not done.

    Pictures and answers that are already there stay, also when an interrupted run, or one of fewer pictures,
    left them.

    Args:
        config: the benchmark.
        generator: makes the pictures; None with `images`.
        images_per_category: pictures of each category, or of each prompt, as the benchmark counts; None is
            the benchmark's own number.
        seed: of prompts, noise and bootstrap.
        output: the folder of the run, made when absent.
        images: a folder of existing pictures to score.
        allow_incomplete: score what there is without an error.
        progress: called with the numbers of pictures done and to do.

    Returns:
        what `scores.json` holds.

    Raises:
        IncompleteError: when something is missing and that is not allowed.
        UserError: for a folder of another run, or not exactly one source of pictures.
    """
    if (generator is None) == (images is None):
        raise UserError("a benchmark needs either a model or a folder of pictures")
    benchmark = config.build()
    count = images_per_category or benchmark.default_count
    requests = benchmark.requests(count, seed)
    source = generator.describe() if generator is not None else {"images": os.fspath(images or "")}
    prepare_run(benchmark, requests, output, seed=seed, source=source)
    RunSettings(config=config, count=count, seed=seed, images=images).save(output)
    folder = images if images is not None else output / IMAGES
    failed = []
    if generator is not None:
        failed = generate_run(generator, requests, seed, folder, progress=progress)
    pictures = Folder(folder, tuple(requests))
    failures = judge_run(benchmark, requests, pictures, output, progress=None if generator else progress)
    scores = score_run(config, requests, output, seed=seed, count=count)
    write_sheet(output, pictures)
    if not is_complete(scores) and not allow_incomplete:
        counts = scores["counts"]
        first = failed[0].reason if failed else failures[0]["error"]
        raise IncompleteError(
            f"{counts['judged']} of {counts['pictures']} pictures are judged, first problem: {first}; run "
            "again to try the rest, or take the score as it is with --allow-incomplete"
        )
    return scores


def prepare_run(
    benchmark: Benchmark,
    requests: Sequence[Request],
    output: Path,
    *,
    seed: int,
    source: dict[str, Any] | None = None,
) -> None:
    """Claims the folder of a run and writes its prompts.

    Args:
        benchmark: what is run.
        requests: its pictures.
        output: the folder of the run.
        seed: of the run.
        source: what the pictures come from, when that is known already.

    Raises:
        UserError: for the folder of another run.
    """
    claim(output, {"benchmark": benchmark.name, **benchmark.identity(), "seed": seed, **(source or {})})
    write_lines(output / PROMPTS, prompt_rows(requests))


def prompt_rows(requests: Sequence[Request]) -> list[dict[str, Any]]:
    """Returns what another system needs in order to make the pictures: file name and prompt of each."""
    return [{"image": str(request.path), "prompt": request.prompt.text} for request in requests]
