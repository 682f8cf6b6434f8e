"""What a report shows, gathered from the folders of runs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_hooks.files import read_json

from i1_bench.judges import JudgeError
from i1_bench.reports.contact_sheet import thumbnail
from i1_bench.reports.sheet_file import read_results
from i1_bench.stages.run_folder import SCORES
from i1_bench.stages.settings import load_settings

NUM_SHOWN = 12
"""The best and the worst pictures of a run that the page shows, this many of each."""
_SIDE = 160


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    """A picture in a report.

    Attributes:
        row: its line of `results.jsonl`.
        jpeg: a small version, base64.
    """

    row: dict[str, Any]
    jpeg: str


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A scored run in a report.

    Attributes:
        name: of the benchmark.
        scores: what `scores.json` holds.
        best: its best pictures.
        worst: its worst ones.
    """

    name: str
    scores: dict[str, Any]
    best: tuple[ShownPicture, ...]
    worst: tuple[ShownPicture, ...]

    @property
    def judges(self) -> list[str]:
        """The judges in words: name, kind, model and versions."""
        found = []
        for role, judge in self.scores.get("judges", {}).items():
            settings = {k: v for k, v in judge.items() if k not in ("component", "kind", "versions") and v}
            versions = judge.get("versions", {})
            parts = [f"{k}={v}" for k, v in {**settings, **versions}.items() if not isinstance(v, dict)]
            found.append(f"{role}: {judge['component']}" + (f" ({', '.join(parts)})" if parts else ""))
        return found


def collect(folder: Path) -> RunReport:
    """Returns the report of one scored run.

    Raises:
        UserError: when the folder was not scored.
    """
    if not (folder / SCORES).is_file():
        raise UserError(f"{folder} was not scored: run `i1 bench score` first")
    rows = [row for row in read_results(folder) if row["weight"]]
    ordered = sorted(rows, key=lambda row: row["credit"] / row["weight"])
    best = [row for row in reversed(ordered) if row["credit"] > 0][:NUM_SHOWN]
    worst = [row for row in ordered if row["credit"] < row["weight"]][:NUM_SHOWN]
    return RunReport(
        name=str(read_json(folder / SCORES)["benchmark"]),
        scores=read_json(folder / SCORES),
        best=tuple(_shown(folder, best)),
        worst=tuple(_shown(folder, worst)),
    )


def _shown(folder: Path, rows: Sequence[dict[str, Any]]) -> list[ShownPicture]:
    pictures = load_settings(folder).pictures(folder)
    requests = {str(request.path): request for request in pictures.requests}
    shown = []
    for row in rows:
        try:
            pixels = pictures.read(requests[row["image"]]).pixels
        except (JudgeError, UserError):  # a folder of pictures may be gone when a report is made
            continue
        file = io.BytesIO()
        thumbnail(pixels, _SIDE).save(file, format="JPEG", quality=80)
        shown.append(ShownPicture(row=row, jpeg=base64.b64encode(file.getvalue()).decode()))
    return shown
