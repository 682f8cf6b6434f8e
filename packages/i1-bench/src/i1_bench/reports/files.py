"""The files of a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from i1_hooks.files import write_atomically

from i1_bench.reports.collect import collect
from i1_bench.reports.markdown import markdown
from i1_bench.reports.page import Curves, page
from i1_bench.reports.published import five_benchmark_average
from i1_bench.stages.run_folder import write_json


def write_report(folders: Sequence[Path], output: Path, sweeps: Curves | None = None) -> list[Path]:
    """Writes `report.md`, `report.json` and `report.html`.

    Args:
        folders: of scored runs.
        output: the folder of the report.
        sweeps: curves that the page shows, by benchmark.

    Returns:
        the files.

    Raises:
        UserError: for a run that was not scored.
    """
    runs = [collect(folder) for folder in folders]
    average = five_benchmark_average({run.name: run.scores["score"] for run in runs})
    paths = [output / f"report.{suffix}" for suffix in ("md", "json", "html")]
    write_atomically(paths[0], markdown(runs))
    write_json(paths[1], {"five_benchmark_average": average, "runs": {run.name: run.scores for run in runs}})
    write_atomically(paths[2], page(runs, sweeps))
    return paths
