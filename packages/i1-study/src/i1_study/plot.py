"""The summary of a study as an SVG picture: scores and losses with intervals, verdicts beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from i1_study.report import ARROWS, format_estimate

ROW, TOP, PANEL, GAP = 44, 78, 260, 36
NAMES, TEXT = 120, 450
COLUMNS = (0, 80, 265)
INK, GREY, BLUE, GREEN, RED = "#222", "#bbb", "#2a5db0", "#1e8c45", "#c0392b"
VERDICTS = ("verdict", "verdict_by_loss")
DIFFERENCES, DIGITS = ("score_difference", "held_out_loss_improvement"), (3, 4)
COLOURS = {"agrees": GREEN, "disagrees": RED}


def svg(study: Mapping[str, Any]) -> str:
    """Returns the picture of a study from what `study.json` holds.

    A dot is a mean over seeds, a bar its interval, a ring one seed. A verdict stands above the difference it
    is drawn from: that of equal seeds, which is much surer than bars that overlap suggest.
    """
    rows = study["arms"]
    width = NAMES + 2 * (PANEL + GAP) + TEXT
    height = TOP + ROW * len(rows) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(12, 24, f"{study['study']}: {study['question']}", size=15),
    ]
    for index, row in enumerate(rows):
        parts.append(_text(12, _y(index) + 4, row["arm"]))
    left = NAMES
    parts += _panel(left, "score (right pictures, higher is better)", rows, "score")
    left += PANEL + GAP
    parts += _panel(left, "held-out loss (lower is better)", rows, "held_out_loss")
    left += PANEL + GAP
    headings = ("published", "here, by score", "by held-out loss")
    parts += [
        _text(left + x, TOP - 24, heading, colour="#666")
        for x, heading in zip(COLUMNS, headings, strict=True)
    ]
    for index, row in enumerate(rows):
        if row["reference"]:
            parts.append(_text(left, _y(index) + 4, "reference", colour="#666"))
            continue
        y = _y(index)
        parts.append(_text(left, y + 4, ARROWS[row["published_direction"]] or "none"))
        for x, name, field, digits in zip(COLUMNS[1:], VERDICTS, DIFFERENCES, DIGITS, strict=True):
            parts.append(_text(left + x, y - 3, row[name], colour=COLOURS.get(row[name], INK)))
            difference = format_estimate(row.get(field), digits, signed=True)
            parts.append(_text(left + x, y + 13, difference, colour="#666", size=11))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _y(index: int) -> float:
    return TOP + ROW * (index + 0.5)


def _panel(left: float, title: str, rows: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    parts = [_text(left, TOP - 24, title, colour="#666")]
    known = [row for row in rows if row[field] is not None]
    if not known:
        return parts
    ends = [row[field][end] for row in known for end in ("low", "high", "mean")]
    ends += [seed[field] for row in known for seed in row["seeds"]]
    place = _axis(min(ends), max(ends), left)
    bottom = TOP + ROW * len(rows)
    parts.append(f'<path d="M{left} {bottom}H{left + PANEL}" stroke="{GREY}"/>')
    for value in (min(ends), max(ends)):
        anchor = "start" if value == min(ends) else "end"
        parts.append(_text(place(value), bottom + 18, f"{value:.3g}", colour="#666", anchor=anchor))
    for index, row in enumerate(rows):
        if row[field] is None:
            continue
        y, value = _y(index), row[field]
        low, mean, high = place(value["low"]), place(value["mean"]), place(value["high"])
        parts.append(f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="{BLUE}" stroke-width="2"/>')
        parts.append(f'<circle cx="{mean:.1f}" cy="{y}" r="5" fill="{BLUE}"/>')
        parts += [
            f'<circle cx="{place(seed[field]):.1f}" cy="{y}" r="3.5" fill="none" stroke="{INK}"/>'
            for seed in row["seeds"]
        ]
    return parts


def _axis(low: float, high: float, left: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: left + 8 + (PANEL - 16) * (value - low) / span


def _text(x: float, y: float, text: str, *, colour: str = INK, size: int = 13, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )
