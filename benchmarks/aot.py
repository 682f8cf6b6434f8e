"""Compiles the recipes of i1 for TPU slices on this CPU, and writes the tables into the documentation.

    python benchmarks/aot.py            every row that is not there yet, the most telling first
    python benchmarks/aot.py --only i1-3b-256
    python benchmarks/aot.py --again    all of them

Reports are kept in `benchmarks/results/aot.json`; after each row the table in `docs/performance.md` is
written, and the short one in `docs/training.md`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "aot.json"
PAGE, GUIDE = ROOT / "docs" / "performance.md", ROOT / "docs" / "training.md"
BEGIN, END = "<!-- aot table: begin -->", "<!-- aot table: end -->"
PUBLISHED = (
    "model.compute_dtype=float32",
    "model.backbone.attention=plain",
    "model.adapter.attention=plain",
    'hardware.machines=[{"name":"v5p-128","data":64}]',
)
"""The published program: float32 activations, whole attention logits, a copy of the state on every chip."""
SCANNED = ("model.backbone.layers=scan",)
DEPTH, FEW = 29, (3, 5)
"""Blocks of every model, and of the two small ones that tell the time of a program that does not fit.

From 3 to 5 blocks, one of each half is added, as from there on to 29.
"""
CHIPS = {"v5p, 64": "v5p:4x4x4", "v6e, 64": "v6e:8x8", "v6e, 256": "v6e:16x16"}
RESOLUTIONS = (256, 512, 1024)
MI, MS = 2**20, 1e3
TEMPORARIES = re.compile(r"HLO temporaries \(([\d.]+)G\)")
"""What the compiler says of a program that does not fit, in GiB."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One program.

    Attributes:
        recipe: that is compiled.
        chips: one of `CHIPS`.
        variant: what is different about it, for the label.
        settings: `--set` assignments.
        cached: whether the encoders are left out.
    """

    recipe: str
    chips: str
    variant: str = ""
    settings: tuple[str, ...] = ()
    cached: bool = True

    @property
    def label(self) -> str:
        """The row's name; unique."""
        return ", ".join(part for part in (self.recipe, self.chips, self.variant) if part)


def rows() -> list[Row]:
    """Returns the table's rows, the most telling first."""
    pod, *others = CHIPS
    large = [f"i1-3b-{resolution}" for resolution in RESOLUTIONS]
    small = [f"i1-1b-{resolution}" for resolution in RESOLUTIONS]
    return [
        *(Row(recipe=recipe, chips=pod) for recipe in large),
        *(Row(recipe=recipe, chips=pod, variant="published", settings=PUBLISHED) for recipe in large),
        Row(recipe=large[0], chips=pod, variant="encoders", cached=False),
        *(Row(recipe=recipe, chips=others[0]) for recipe in large),
        Row(recipe=large[0], chips=pod, variant="scanned", settings=SCANNED),
        *(Row(recipe=recipe, chips=pod) for recipe in small),
        *(Row(recipe=recipe, chips=pod, variant="encoders", cached=False) for recipe in large[1:]),
        *(Row(recipe=recipe, chips=others[1]) for recipe in large),
        *(Row(recipe=recipe, chips=chips) for chips in others for recipe in small),
    ]


def compile_row(row: Row) -> dict[str, Any]:
    """Returns the report of a row; where it does not fit, with the time that fewer blocks let expect."""
    report = compile_program(row)
    if report["estimated_seconds"] is None:
        few = [compile_program(row, f"model.backbone.depth={depth}") for depth in FEW]
        report["scaled_seconds"] = scaled([part["estimated_seconds"] for part in few])
    return report


def scaled(seconds: list[float | None]) -> float | None:
    """Returns the time of all blocks from those of `FEW`, None when those do not fit either."""
    first, second = seconds
    if first is None or second is None:
        return None
    return first + (DEPTH - FEW[0]) / (FEW[1] - FEW[0]) * (second - first)


def compile_program(row: Row, *settings: str) -> dict[str, Any]:
    """Returns the report of a program with more settings, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "i1_hooks", "train", row.recipe, "--compile-only"]
        command += ["--topology", CHIPS[row.chips], "--json", str(file)]
        command += ["--cached"] if row.cached else []
        command += [flag for setting in (*row.settings, *settings) for flag in ("--set", setting)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not file.exists():
            sys.exit(f"{row.label}: {done.stderr.strip().splitlines()[-1]}")
        return json.loads(file.read_text())


def table(reports: dict[str, dict[str, Any]]) -> str:
    """Returns the Markdown table of all rows."""
    lines = [
        "| program | GiB per chip: arguments / peak / limit | estimated ms | share of peak | "
        "matrix / copy / other / kernels ms | MiB sent per chip | compiled in s (of processor) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows():
        report = reports.get(row.label)
        cells = ["not measured", *[""] * 5] if report is None else _cells(report)
        lines.append(f"| {' | '.join([row.label, *cells])} |")
    return "\n".join(lines)


def _cells(report: dict[str, Any]) -> list[str]:
    memory = report["bytes_per_device"]
    sizes = " / ".join(_gib(memory[name]) for name in ("arguments", "peak", "limit"))
    if not report["fits"]:
        needed = TEMPORARIES.search(report.get("message", ""))
        sizes = f"temporaries {needed[1]}" if needed else sizes
        sizes += ", **does not fit**"
    if report["estimated_seconds"] is None:
        seconds = report.get("scaled_seconds")
        return [sizes, "" if seconds is None else f"about {MS * seconds:.0f}", *[""] * 4]
    estimated = report["estimated"]
    clock = estimated["clock"]
    parts = [MS * estimated["cycles"][kind] / clock for kind in ("matrix", "copy", "other")]
    parts.append(MS * estimated["kernel_seconds"])
    sent = ", ".join(f"{axis} {count / MI:,.0f}" for axis, count in estimated["collective_bytes"].items())
    return [
        sizes,
        f"{MS * report['estimated_seconds']:.0f}",
        f"{100 * estimated['share_of_peak']:.0f} %",
        " / ".join(f"{part:.0f}" for part in parts),
        sent,
        f"{report['compile_seconds']:.0f} ({report['compile_cpu_seconds']:.0f})",
    ]


def short_table(reports: dict[str, dict[str, Any]]) -> str:
    """Returns the Markdown table of one line per recipe and one column per slice: step and memory."""
    lines = [f"| recipe | {' | '.join(CHIPS)} |", f"| --- |{' --- |' * len(CHIPS)}"]
    for recipe in (f"i1-{size}-{resolution}" for size in ("3b", "1b") for resolution in RESOLUTIONS):
        found = [reports.get(Row(recipe=recipe, chips=chips).label) for chips in CHIPS]
        lines.append(f"| `{recipe}` | {' | '.join(_short(report) for report in found)} |")
    return "\n".join(lines)


def _short(report: dict[str, Any] | None) -> str:
    if report is None:
        return "not measured"
    peak = _gib(report["bytes_per_device"]["peak"])
    return f"{MS * report['estimated_seconds']:.0f} ms, {peak} GiB" if report["fits"] else "does not fit"


def _gib(count: float | None) -> str:
    return "?" if count is None else f"{count / 2**30:.1f}"


def write(reports: dict[str, dict[str, Any]]) -> None:
    """Writes the reports and the table."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(reports, indent=1) + "\n")
    for page, lines in ((PAGE, table(reports)), (GUIDE, short_table(reports))):
        text = page.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        page.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}")


def main() -> None:
    """Compiles the chosen rows and writes the table."""
    parser = argparse.ArgumentParser(description="Compile the recipes of i1 for TPU slices.")
    parser.add_argument("--only", metavar="TEXT", default="", help="rows whose label contains this")
    parser.add_argument("--again", action="store_true", help="also rows that have a report")
    arguments = parser.parse_args()
    reports = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    write(reports)
    for row in rows():
        if arguments.only in row.label and (arguments.again or row.label not in reports):
            reports[row.label] = compile_row(row)
            write(reports)
            print(f"{row.label}: {reports[row.label]['estimated_seconds']}", flush=True)


if __name__ == "__main__":
    main()
