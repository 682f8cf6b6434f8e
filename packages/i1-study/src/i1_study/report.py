"""The summary of a study as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from i1_study.statistics import LEAST_SEEDS

ARROWS = {"higher": "better", "lower": "worse", "mixed": "mixed", None: ""}


def markdown(study: Mapping[str, Any]) -> str:
    """Returns the page of a study from what `study.json` holds."""
    rows = study["arms"]
    settings = study["settings"]
    metrics = study["published_metrics"]
    lines = [
        f"# {study['study']}",
        "",
        study["question"],
        "",
        f"{settings['seeds']} seeds of {settings['steps']} steps each, "
        f"{settings['images_per_category']} pictures per category. Intervals are 95% bootstrap over seeds "
        "and pictures. Differences are to the first arm, positive where the arm is better.",
        "",
        *markdown_table(
            ["arm", "score", "difference", "held-out loss", "improvement", "words"],
            [
                [
                    row["arm"],
                    format_estimate(row["score"], 3),
                    format_estimate(row.get("score_difference"), 3, signed=True),
                    format_estimate(row["held_out_loss"], 4),
                    format_estimate(row.get("held_out_loss_improvement"), 4, signed=True),
                    format_estimate(row["words"], 3),
                ]
                for row in rows
            ],
        ),
        "",
        f"## Beside what was published ({study['source'] or 'no numbers'})",
        "",
        *markdown_table(
            ["arm", *metrics, "published as", "here, by score", "here, by held-out loss"],
            [
                [
                    row["arm"],
                    *(_published(row["published"], metric) for metric in metrics),
                    "reference" if row["reference"] else ARROWS[row["published_direction"]],
                    row.get("verdict", ""),
                    row.get("verdict_by_loss", ""),
                ]
                for row in rows
            ],
        ),
        "",
        f"A verdict needs {LEAST_SEEDS} seeds, a published direction that all its metrics share, and an "
        "interval of the difference that leaves out zero.",
    ]
    failed = [row for row in rows if row["failed_seeds"]]
    lines += [
        f"\n{row['arm']}: the loss of {row['failed_seeds']} of {settings['seeds']} seeds was not finite; "
        "they are left out."
        for row in failed
    ]
    return "\n".join(lines) + "\n"


def format_estimate(value: Mapping[str, float] | None, digits: int, *, signed: bool = False) -> str:
    """Returns a mean with its interval, such as `+0.013 (-0.038 to +0.069)`; nothing for None."""
    if value is None:
        return ""
    sign = "+" if signed else ""
    low, high = f"{value['low']:{sign}.{digits}f}", f"{value['high']:{sign}.{digits}f}"
    return f"{value['mean']:{sign}.{digits}f} ({low} to {high})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table."""
    return [_line(header), _line(["---"] * len(header)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _published(numbers: Mapping[str, float] | None, metric: str) -> str:
    return "" if numbers is None else f"{numbers[metric]:g}"
