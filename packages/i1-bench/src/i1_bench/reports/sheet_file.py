"""The file of the contact sheet."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from i1_hooks.files import read_text, split_lines, write_atomically

from i1_bench.judges import JudgeError
from i1_bench.reports.contact_sheet import COLUMNS, contact_sheet, shown_rows
from i1_bench.stages.pictures import Folder
from i1_bench.stages.run_folder import RESULTS, SHEET


def read_results(output: Path) -> list[dict[str, Any]]:
    """Returns the lines of `results.jsonl`.

    Raises:
        UserError: when the run has none.
    """
    return [json.loads(line) for line in split_lines(read_text(output / RESULTS))]


def write_sheet(output: Path, pictures: Folder) -> None:
    """Writes `contact_sheet.png` of a scored run."""
    rows = read_results(output)
    by_path = {str(request.path): request for request in pictures.requests}
    shown: dict[str, np.ndarray] = {}
    for group in shown_rows(rows).values():
        for row in group[:COLUMNS]:
            try:
                shown[row["image"]] = pictures.read(by_path[row["image"]]).pixels
            except JudgeError:  # named among the failures of the judging stage
                continue
    file = io.BytesIO()
    contact_sheet(rows, shown).save(file, format="PNG")
    write_atomically(output / SHEET, file.getvalue())
