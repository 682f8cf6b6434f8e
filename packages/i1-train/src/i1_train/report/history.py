"""The metrics of a run, reduced to as many points as a chart can show."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NUM_POINTS = 300


@dataclass
class Point:
    """A few successive steps of one metric.

    Attributes:
        step: number of the last step.
        count: number of steps.
        total: sum of the values.
        low: smallest value.
        high: largest value.
    """

    step: int
    count: int = 0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return self.total / self.count

    def add(self, step: int, value: float) -> None:
        """Adds the value of a step."""
        self.step, self.count, self.total = step, self.count + 1, self.total + value
        self.low, self.high = min(self.low, value), max(self.high, value)


Series = dict[str, list[Point]]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the objects of a file of JSON lines, without incomplete and damaged lines."""
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict) and isinstance(row.get("step"), int):
                    yield row


def read_series(path: Path, num_points: int = NUM_POINTS) -> Series:
    """Returns every metric of a `metrics.jsonl` as at most `num_points` points.

    It reads the file once, with memory that does not grow with the file.
    """
    total = _last_step(path)
    series: dict[str, dict[int, Point]] = {}
    for row in read_lines(path):
        bucket = (row["step"] - 1) * num_points // max(total, 1)
        for name, value in row.items():
            if name != "step" and isinstance(value, (int, float)):
                series.setdefault(name, {}).setdefault(bucket, Point(0)).add(row["step"], float(value))
    return {name: [points[bucket] for bucket in sorted(points)] for name, points in series.items()}


def _last_step(path: Path) -> int:
    """Returns the step of the last complete line, 0 without one."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16))
        tail = file.read().splitlines()
    for line in reversed(tail):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0
