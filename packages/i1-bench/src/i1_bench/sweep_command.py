"""`i1 bench sweep`: benchmarks over a grid of sampling settings."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_hooks.files import read_json, write_atomically

from i1_bench.commands import Run, add_incomplete, chosen_runs, generate, judge, report, score, stage_parser
from i1_bench.generation import PipelineGenerator
from i1_bench.reports.charts import curves
from i1_bench.reports.markdown import number
from i1_bench.sampling_arguments import add_sampling, make_pipeline
from i1_bench.stages.pictures import missing
from i1_bench.stages.run_folder import IMAGES, SCORES, write_json

SECONDS = "seconds.json"
"""How many pictures of a run were made, and in how many seconds, over all calls."""


def sweep_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench sweep`."""
    parser = stage_parser(
        "sweep", "Run a grid of sampling settings; draw scores over evaluations and seconds."
    )
    add_sampling(parser)
    add_incomplete(parser)
    parser.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="FLAG=A,B",
        help="values of a sampling option, as steps=5,10,20 or solver=euler,heun; several make a grid",
    )
    points = list(_points(parser, argv))
    output: Path = parser.parse_args(argv).output
    status, rows = 0, []
    for name, point in points:
        generator = make_pipeline(point)
        for run in chosen_runs(point):
            inside = Run(folder=output / name / run.folder.relative_to(output), settings=run.settings)
            _generate_timed(inside, generator)
            judge(inside, allow_incomplete=True)
            status = max(status, score(inside, allow_incomplete=point.allow_incomplete))
            report([inside.folder], inside.folder)
            rows.append(_row(name, inside, generator.evaluations()))
    write_json(output / "sweep.json", rows)
    _write_tables(output, rows)
    return status


def _points(parser: argparse.ArgumentParser, argv: Sequence[str]) -> Iterator[tuple[str, argparse.Namespace]]:
    """Yields the name of the folder and the parsed options of every point of the grid."""
    grid = parser.parse_args(argv).grid
    if not grid:
        raise UserError("no grid: give --grid FLAG=A,B, as --grid steps=5,10,20")
    axes = []
    for text in grid:
        flag, _, values = text.partition("=")
        if not flag or not all(values.split(",")):
            raise UserError(f"--grid {text}: expected FLAG=A,B, as steps=5,10,20")
        axes.append([(flag, value) for value in values.split(",")])
    for point in itertools.product(*axes):
        extra = [part for flag, value in point for part in (f"--{flag}", value)]
        yield "_".join(f"{flag}-{value}" for flag, value in point), parser.parse_args([*argv, *extra])


def _generate_timed(run: Run, generator: PipelineGenerator) -> None:
    """Makes the missing pictures of a run, and adds the seconds to those of earlier calls."""
    path = run.folder / SECONDS
    known = read_json(path) if path.is_file() else {"pictures": 0, "seconds": 0.0}
    wanted = len(missing(run.folder / IMAGES, run.settings.requests()))
    start = time.monotonic()
    generate(run, generator)
    if wanted:
        seconds = known["seconds"] + time.monotonic() - start
        write_json(path, {"pictures": known["pictures"] + wanted, "seconds": seconds})


def _row(name: str, run: Run, evaluations: int) -> dict[str, Any]:
    scores, times = read_json(run.folder / SCORES), read_json(run.folder / SECONDS)
    return {
        "point": name,
        "benchmark": run.folder.name,
        "score": scores["score"],
        "interval": scores["interval"],
        "evaluations": evaluations,
        "seconds_per_picture": times["seconds"] / times["pictures"],
    }


def _write_tables(output: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes `sweep.md`, and for each benchmark a chart over evaluations and one over seconds."""
    lines = ["# Sweep", "", "| point | benchmark | score | 95% interval | evaluations | s/picture |"]
    lines.append("| --- | --- | ---: | :---: | ---: | ---: |")
    for row in rows:
        interval = " to ".join(number(bound) for bound in row["interval"] or (None,))
        values = (
            f"{number(row['score'])} | {interval} | {row['evaluations']} | {row['seconds_per_picture']:.3g}"
        )
        lines.append(f"| {row['point']} | {row['benchmark']} | {values} |")
    write_atomically(output / "sweep.md", "\n".join(lines) + "\n")
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        for key, title in (("evaluations", "evaluations"), ("seconds_per_picture", "seconds per picture")):
            here = [row for row in rows if row["benchmark"] == benchmark and row["score"] is not None]
            points = sorted((float(row[key]), row["score"]) for row in here)
            if points:
                chart = curves(f"{benchmark}: score", title, {benchmark: points})
                write_atomically(output / f"sweep_{benchmark}_{key}.svg", chart)
