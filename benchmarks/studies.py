"""Runs the studies and writes their results into `docs/studies.md` and `docs/images/`.

    python benchmarks/studies.py --workdir studies              all of them
    python benchmarks/studies.py --workdir studies adapter

Thirty trials of 6 to 15 minutes of one core each. A study that is finished in the workdir takes seconds.
What the page shows of the others stays.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i1_study.plot import svg
from i1_study.report import ARROWS, format_estimate, markdown_table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "studies"
PAGE = ROOT / "docs" / "studies.md"
IMAGES = ROOT / "docs" / "images"
BEGIN, END = "<!-- studies: begin -->", "<!-- studies: end -->"
STUDIES = ("adapter", "long_skip", "backbone", "mixing", "adaln", "prediction")
HEADER = (
    "study",
    "arm",
    "score",
    "difference",
    "held-out loss",
    "improvement",
    "published as",
    "by score",
    "by loss",
)


def table(studies: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Returns the Markdown table of all studies, None standing for one that was not run."""
    rows = []
    for name, study in studies.items():
        if study is None:
            rows.append([f"`{name}`", "not measured", *[""] * (len(HEADER) - 2)])
            continue
        for row in study["arms"]:
            published = "reference" if row["reference"] else ARROWS[row["published_direction"]] or "nothing"
            cells = [
                f"`{name}`" if row["reference"] else "",
                f"`{row['arm']}`",
                format_estimate(row["score"], 3),
                format_estimate(row.get("score_difference"), 3, signed=True),
                format_estimate(row["held_out_loss"], 4),
                format_estimate(row.get("held_out_loss_improvement"), 4, signed=True),
                published,
                row.get("verdict", ""),
                row.get("verdict_by_loss", ""),
            ]
            rows.append(cells)
    return markdown_table(HEADER, rows)


def write() -> None:
    """Writes the table and the pictures of all results that there are."""
    files = {name: RESULTS / f"{name}.json" for name in STUDIES}
    studies = {name: json.loads(file.read_text()) if file.exists() else None for name, file in files.items()}
    lines = table(studies)
    for name, study in studies.items():
        if study is not None:
            (IMAGES / f"study-{name}.svg").write_text(svg(study))
            lines += ["", f"![{study['question']}](images/study-{name}.svg)"]
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text("\n".join([f"{before}{BEGIN}", *lines, f"{END}{after}"]))


def main() -> None:
    """Runs the chosen studies and writes their results."""
    parser = argparse.ArgumentParser(description="Run the studies and write their results.")
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(STUDIES)} (default: all)")
    parser.add_argument("--workdir", type=Path, required=True, metavar="D", help="of `i1 study`")
    arguments = parser.parse_args()
    if unknown := set(arguments.studies) - set(STUDIES):
        parser.error(f"no such study: {', '.join(sorted(unknown))}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in arguments.studies or STUDIES:
        command = [sys.executable, "-m", "i1_hooks", "study", name, "--workdir", str(arguments.workdir)]
        subprocess.run(command, check=True)
        study = json.loads((arguments.workdir / name / "study.json").read_text())
        (RESULTS / f"{name}.json").write_text(json.dumps(study, indent=1) + "\n")
        write()


if __name__ == "__main__":
    main()
