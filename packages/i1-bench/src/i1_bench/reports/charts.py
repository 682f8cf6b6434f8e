"""Charts as SVG: bars, a radar and curves."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

OWN, OTHER, INK, GRID = "#c2410c", "#64748b", "#1f2937", "#e5e7eb"
PALETTE = ("#c2410c", "#2563eb", "#059669", "#7c3aed", "#b45309", "#0891b2")


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">'
        f"{html.escape(text)}</text>"
    )


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    body = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'font-family="system-ui, sans-serif" role="img"><title>{html.escape(title)}</title>{body}</svg>'
    )


def bars(
    title: str, values: Mapping[str, float], *, own: str, interval: Sequence[float] | None = None
) -> str:
    """Returns horizontal bars, largest first, with one highlighted.

    Args:
        title: of the chart.
        values: by name.
        own: the name that is highlighted.
        interval: of the highlighted value.
    """
    left, width, step = 190.0, 330.0, 20.0
    largest = max([*values.values(), *(interval or ()), 1e-9])
    parts = [_text(0, 14, title, size=14)]
    for row, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1])):
        y = 26 + step * row
        colour = OWN if name == own else OTHER
        parts += [
            _text(left - 8, y + 12, name, anchor="end", colour=colour),
            f'<rect x="{left}" y="{y + 2:.1f}" width="{width * value / largest:.1f}" height="13" '
            f'fill="{colour}"/>',
            _text(left + width + 8, y + 12, f"{value:.4g}", colour=colour),
        ]
        if name == own and interval is not None:
            low, high = (left + width * bound / largest for bound in interval)
            middle = y + 8.5
            parts.append(f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{INK}" stroke-width="2"/>')
    return _svg(left + width + 70, 32 + step * len(values), parts, title)


def radar(axes: Sequence[str], models: Mapping[str, Sequence[float | None]]) -> str:
    """Returns a radar chart of percentages.

    Args:
        axes: names of the axes.
        models: for each model a value from 0 to 100 on every axis; missing ones are left out of its outline.
    """
    across, down, radius = 250.0, 180.0, 130.0
    angles = [2 * math.pi * k / len(axes) - math.pi / 2 for k in range(len(axes))]

    def point(k: int, value: float) -> str:
        reach = radius * value / 100
        return f"{across + reach * math.cos(angles[k]):.1f},{down + reach * math.sin(angles[k]):.1f}"

    parts = []
    for level in (25, 50, 75, 100):
        outline = " ".join(point(k, level) for k in range(len(axes)))
        parts.append(f'<polygon points="{outline}" fill="none" stroke="{GRID}"/>')
    for k, axis in enumerate(axes):
        x, y = (float(part) for part in point(k, 118).split(","))
        anchor = "middle" if abs(x - across) < 20 else "start" if x > across else "end"
        parts.append(_text(x, y + 4, axis, anchor=anchor))
    for number, (name, values) in enumerate(models.items()):
        colour = PALETTE[number % len(PALETTE)]
        outline = " ".join(point(k, value) for k, value in enumerate(values) if value is not None)
        opacity = "0.18" if number == 0 else "0"
        parts.append(
            f'<polygon points="{outline}" fill="{colour}" fill-opacity="{opacity}" stroke="{colour}" '
            f'stroke-width="{2.5 if number == 0 else 1.5}"/>'
        )
        parts.append(f'<rect x="520" y="{24 + 22 * number}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(540, 35 + 22 * number, name))
    return _svg(720, 350, parts, "Benchmarks in percent")


def curves(title: str, x_name: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Returns curves of a score over a number.

    Args:
        title: names the score.
        x_name: names the number.
        lines: for each curve its points, by increasing number.
    """
    left, top, width, height = 60.0, 30.0, 400.0, 220.0
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    low_x, high_x, low_y, high_y = min(xs), max(xs), min(ys), max(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - low_x) / (high_x - low_x) if high_x > low_x else 0.5
        up = (y - low_y) / (high_y - low_y) if high_y > low_y else 0.5
        return left + width * across, top + height * (1 - up)

    parts = [
        _text(0, 14, title, size=14),
        f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="{INK}"/>',
        *(_text(left - 6, place(low_x, y)[1] + 4, f"{y:.4g}", anchor="end") for y in {low_y, high_y}),
        *(_text(place(x, low_y)[0], top + height + 16, f"{x:.4g}", anchor="middle") for x in {low_x, high_x}),
        _text(left + width / 2, top + height + 32, x_name, anchor="middle"),
    ]
    for number, (name, points) in enumerate(lines.items()):
        colour = PALETTE[number % len(PALETTE)]
        placed = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed]
        parts.append(_text(left + width + 14, top + 14 + 18 * number, name, colour=colour))
    return _svg(left + width + 190, top + height + 44, parts, title)
