"""Compiles the recipes of i1 for TPU slices on this CPU, and writes the table in `docs/performance.md`.

    python benchmarks/aot.py            every row, one after the other
    python benchmarks/aot.py --only i1-3b-256

Reports are kept in `benchmarks/results/aot.json`; rows that were not compiled again keep theirs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "aot.json"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- aot table: begin -->", "<!-- aot table: end -->"
PUBLISHED = (
    "model.compute_dtype=float32",
    "model.backbone.attention=plain",
    "model.adapter.attention=plain",
    'machines=[{"name":"v5p-128","data":64}]',
)
"""The published program: float32 activations, whole attention logits, a copy of the state on every chip."""
MI, MS = 2**20, 1e3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One program.

    Attributes:
        label: of the row; unique.
        recipe: that is compiled.
        topology: for which it is.
        settings: `--set` assignments.
        cached: whether the encoders are left out.
    """

    label: str
    recipe: str
    topology: str
    settings: tuple[str, ...] = ()
    cached: bool = True


def rows() -> list[Row]:
    """Returns the table's rows."""
    topologies = {"v5p, 64": "v5p:4x4x4", "v6e, 64": "v6e:8x8", "v6e, 256": "v6e:16x16"}
    found = []
    for size in ("3b", "1b"):
        for chips, topology in topologies.items():
            for resolution in (256, 512, 1024):
                recipe = f"i1-{size}-{resolution}"
                label = f"{recipe}, {chips}"
                found.append(Row(label=label, recipe=recipe, topology=topology))
                if (size, chips) == ("3b", "v5p, 64"):
                    found += [
                        Row(label=f"{label}, encoders", recipe=recipe, topology=topology, cached=False),
                        Row(
                            label=f"{label}, published", recipe=recipe, topology=topology, settings=PUBLISHED
                        ),
                    ]
    return found


def compile_row(row: Row) -> dict[str, Any]:
    """Returns the report of a row, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "i1_hooks", "train", row.recipe, "--compile-only"]
        command += ["--topology", row.topology, "--json", str(file)]
        command += ["--cached"] if row.cached else []
        command += [flag for setting in row.settings for flag in ("--set", setting)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not file.exists():
            sys.exit(f"{row.label}: {done.stderr.strip().splitlines()[-1]}")
        return json.loads(file.read_text())


def table(reports: dict[str, dict[str, Any]]) -> str:
    """Returns the Markdown table of all rows."""
    lines = [
        "| program | GiB per chip: arguments / peak / limit | estimated ms | share of peak | "
        "matrix / copy / other / kernels ms | MiB sent per chip | compiled in s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows():
        report = reports.get(row.label)
        if report is None:
            lines.append(f"| {row.label} | not measured | | | | | |")
            continue
        memory = report["bytes_per_device"]
        sizes = " / ".join(_gib(memory[name]) for name in ("arguments", "peak", "limit"))
        if not report["fits"]:
            sizes += ", **does not fit**"
        if report["estimated_seconds"] is None:
            lines.append(f"| {row.label} | {sizes} | | | | | |")
            continue
        estimated = report["estimated"]
        clock = estimated["clock"]
        parts = [MS * estimated["cycles"][kind] / clock for kind in ("matrix", "copy", "other")]
        parts.append(MS * estimated["kernel_seconds"])
        sent = ", ".join(f"{axis} {count / MI:,.0f}" for axis, count in estimated["collective_bytes"].items())
        lines.append(
            f"| {row.label} | {sizes} | {MS * report['estimated_seconds']:.0f} | "
            f"{100 * estimated['share_of_peak']:.0f} % | {' / '.join(f'{part:.0f}' for part in parts)} | "
            f"{sent} | {report['compile_seconds']:.0f} |"
        )
    return "\n".join(lines)


def _gib(count: float | None) -> str:
    return "?" if count is None else f"{count / 2**30:.1f}"


def main() -> None:
    """Compiles the chosen rows and writes the table."""
    parser = argparse.ArgumentParser(description="Compile the recipes of i1 for TPU slices.")
    parser.add_argument(
        "--only", metavar="TEXT", help="rows whose label contains this (no match: only write the table)"
    )
    arguments = parser.parse_args()
    reports = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    for row in rows():
        if arguments.only is None or arguments.only in row.label:
            reports[row.label] = compile_row(row)
            RESULTS.write_text(json.dumps(reports, indent=1) + "\n")
            print(f"{row.label}: {reports[row.label]['estimated_seconds']}", flush=True)
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(reports)}\n{END}{after}")


if __name__ == "__main__":
    main()
