"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from i1_bench.reports.collect import RunReport
from i1_bench.reports.published import COLUMNS, five_benchmark_average, main_table


def markdown(runs: Sequence[RunReport]) -> str:
    """Returns the report of runs: scores with intervals and counts, the published table, the categories."""
    lines = ["# Benchmarks", "", *score_table(runs), ""]
    average = five_benchmark_average({run.name: run.scores["score"] for run in runs})
    if average is not None:
        lines += [f"Average of the five benchmarks: {average:.2f}", ""]
    lines += [note for run in runs for note in notes(run)]
    shown = [run for run in runs if run.name in COLUMNS]
    if shown:
        lines += ["", "## Beside published results", "", *published_table(shown)]
    for run in runs:
        lines += ["", f"## {run.name}", "", "| category | score |", "| --- | ---: |"]
        lines += [f"| {name} | {value:.4g} |" for name, value in run.scores["categories"].items()]
        lines += ["", *(f"- {judge}" for judge in run.judges)]
    return "\n".join(lines) + "\n"


def notes(run: RunReport) -> list[str]:
    """Returns what a reader must know before trusting a score."""
    counts, found = run.scores["counts"], []
    if counts["judged"] < counts["pictures"]:
        found.append(
            f"**{run.name} is incomplete: {counts['judged']} of {counts['pictures']} pictures are judged.**"
        )
    if run.scores.get("limit"):
        found.append(f"{run.name} took only the first {run.scores['limit']} prompts of each category.")
    return found


def score_table(runs: Sequence[RunReport]) -> list[str]:
    """Returns the scores with 95% intervals and the counts of judged pictures."""
    lines = [
        "| benchmark | score | 95% interval | fixed | judged | counted |",
        "| --- | ---: | :---: | ---: | ---: | ---: |",
    ]
    for run in runs:
        scores, counts = run.scores, run.scores["counts"]
        interval = "-" if scores["interval"] is None else " to ".join(f"{b:.4g}" for b in scores["interval"])
        judged = f"{counts['judged']} of {counts['pictures']}"
        values = f"{number(scores['score'])} | {interval} | {number(scores['score_fixed'])}"
        lines.append(f"| {run.name} | {values} | {judged} | {counts['counted']} |")
    return lines


def number(value: float | None) -> str:
    """Returns a score for people; a missing one is a dash."""
    return "-" if value is None else f"{value:.4g}"


def published_table(runs: Sequence[RunReport]) -> list[str]:
    """Returns the published results with the runs as a row of their own."""
    own = {run.name: run.scores["score"] for run in runs}
    lines = [
        "| model | parameters | " + " | ".join(COLUMNS.values()) + " | average |",
        "| --- | ---: |" + " ---: |" * (len(COLUMNS) + 1),
        "| **this run** | | "
        + " | ".join(f"**{number(own.get(name))}**" for name in COLUMNS)
        + f" | {number(five_benchmark_average(own))} |",
    ]
    for row in main_table():
        values = " | ".join(
            number(row[column]) + ("*" if column in row["starred"] else "") for column in COLUMNS.values()
        )
        average = number(row["five_benchmark_average_percent_computed"])
        lines.append(f"| {row['model']} | {row['params']} | {values} | {average} |")
    return [
        *lines,
        "",
        "Published values are those of the project page of i1; a star marks values it took elsewhere.",
    ]
