"""`i1 bench compare`: two runs, prompt by prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i1_hooks import CommandParser, UserError

from i1_bench.stages.run_folder import identity_of, write_json
from i1_bench.stages.score import read_judged
from i1_bench.stages.settings import RunSettings, find_runs, load_settings
from i1_bench.statistics import Comparison, cluster, compare


def compare_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench compare`."""
    parser = CommandParser(prog="i1 bench compare", description="Compare two runs prompt by prompt.")
    add = parser.add_argument
    add("first", type=Path, metavar="A", help="a folder of runs, or one run")
    add("second", type=Path, metavar="B", help="the other one")
    add("--margin", type=float, metavar="M", help="differences up to M, in units of the score, do not matter")
    add("--output", type=Path, metavar="F", help="also write the comparison as JSON")
    arguments = parser.parse_args(argv)
    if arguments.margin is not None and not arguments.margin > 0:
        raise UserError(f"--margin {arguments.margin}: expected a number above 0")
    found = compare_runs(arguments.first, arguments.second, margin=arguments.margin)
    for name, comparison in found.items():
        print(describe(name, comparison, arguments.margin))
    if arguments.output is not None:
        write_json(arguments.output, {name: dataclasses.asdict(one) for name, one in found.items()})
    return 0


def compare_runs(first: Path, second: Path, *, margin: float | None = None) -> dict[str, Comparison]:
    """Compares the runs of each benchmark that two folders share.

    Args:
        first: a folder of runs, or one run.
        second: the other one.
        margin: the largest difference that does not matter, in units of the score.

    Returns:
        a comparison by benchmark, in units of the score.

    Raises:
        UserError: when they share no benchmark, or their prompts, seeds or judges differ.
    """
    runs = [
        {load_settings(run).benchmark().name: run for run in find_runs(folder)} for folder in (first, second)
    ]
    shared = [name for name in runs[0] if name in runs[1]]
    if not shared:
        raise UserError(
            f"{first} has {', '.join(runs[0])}, {second} {', '.join(runs[1])}: no benchmark is in both"
        )
    return {name: _compare(runs[0][name], runs[1][name], margin) for name in shared}


def _compare(first: Path, second: Path, margin: float | None) -> Comparison:
    identities = [identity_of(run) for run in (first, second)]
    for key in ("seed", "judges", "templates", "questions"):
        a, b = (identity.get(key) for identity in identities)
        if a != b:
            raise UserError(f"{first} and {second} cannot be compared: {key} {a} and {b}")
    settings: list[RunSettings] = [load_settings(run) for run in (first, second)]
    benchmark = settings[0].benchmark()
    clusters = []
    for run, setting in zip((first, second), settings, strict=True):
        judged = read_judged(setting.benchmark(), setting.requests(), run)
        clusters.append(cluster(judged, benchmark.outcomes(judged)))
    scale = benchmark.scale
    found = compare(*clusters, seed=settings[0].seed, margin=None if margin is None else margin / scale)
    return _scaled(found, scale)


def _scaled(found: Comparison, scale: float) -> Comparison:
    low, high = found.interval
    values: dict[str, Any] = {
        "first": scale * found.first,
        "second": scale * found.second,
        "difference": scale * found.difference,
        "interval": (scale * low, scale * high),
    }
    return dataclasses.replace(found, **values)


def describe(name: str, found: Comparison, margin: float | None) -> str:
    """Returns a comparison in one line."""
    low, high = found.interval
    line = (
        f"{name}: {found.first:.4g} to {found.second:.4g}, difference {found.difference:+.4g}, 95% interval "
        f"{low:+.4g} to {high:+.4g}, p {found.p_value:.2g}, {found.num_prompts} prompts"
    )
    if margin is None:
        return line
    return f"{line}; {'equivalent' if found.equivalent else 'not shown to be equivalent'} within {margin:g}"
