"""The published results that runs are shown beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

COLUMNS = {
    "geneval": "GenEval",
    "dpg": "DPG-Bench",
    "prism": "PRISM",
    "cvtg-2k": "CVTG-2K",
    "longtext": "LongText-Bench",
}
"""The column of each benchmark in the published table."""
PERCENT = {"geneval": 100.0, "dpg": 1.0, "prism": 1.0, "cvtg-2k": 100.0, "longtext": 100.0}
"""What turns a score into percent."""


@cache
def published_tables() -> dict[str, Any]:
    """Returns all published tables, with their sources."""
    text = resources.files("i1_bench.reports").joinpath("published.json").read_text(encoding="utf-8")
    return json.loads(text)


def main_table() -> list[dict[str, Any]]:
    """Returns the rows of the main table of i1."""
    return published_tables()["i1"]["rows"]


def five_benchmark_average(scores: Mapping[str, float | None]) -> float | None:
    """Returns the mean of the five scores in percent; None unless all are there.

    Args:
        scores: by benchmark, in their published units.
    """
    values = [scores.get(name) for name in COLUMNS]
    known = [value * PERCENT[name] for name, value in zip(COLUMNS, values, strict=True) if value is not None]
    return sum(known) / len(known) if len(known) == len(COLUMNS) else None
