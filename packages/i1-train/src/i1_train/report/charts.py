"""Line charts as SVG text."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Mapping, Sequence

from i1_train.report.history import Point

WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 30, 28
NUM_TICKS = 7
COLOURS = ("#2a78d6", "#d97706", "#16935a", "#c2417c", "#7c5cd6", "#6b7280")


def line_chart(title: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """Returns a chart of the means of every line, and of its spread if there is only one.

    The vertical axis covers all means and a typical spread, at whose ends a larger spread is cut off, so that
    a rare value does not flatten the chart. It is logarithmic if it starts above 0 and ends above 20 times
    that.

    Args:
        title: title of the chart.
        lines: points by label, at least one line.
    """
    alone = len(lines) == 1
    bottom, top = _range(lines, alone)
    logarithmic = bottom > 0 and top > 20 * bottom
    last = max(points[-1].step for points in lines.values())
    first = min(points[0].step for points in lines.values())
    height = _scale(bottom, top, HEIGHT - BOTTOM, TOP, logarithmic)
    across = _scale(first, last, LEFT, WIDTH - RIGHT, False)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        f'<text class="title" x="{LEFT}" y="16">{html.escape(title)}</text>',
    ]
    for value in _ticks(bottom, top, logarithmic):
        y = height(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 3:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    for value in _ticks(first, last, False):
        x = across(value)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{_short(value)}</text>'
        )
    for (label, points), colour in zip(lines.items(), COLOURS * 10, strict=False):
        if alone and len(points) > 1:
            upper = [f"{across(p.step):.1f},{height(p.high):.1f}" for p in points]
            lower = [f"{across(p.step):.1f},{height(p.low):.1f}" for p in reversed(points)]
            parts.append(f'<polygon fill="{colour}" opacity="0.18" points="{" ".join(upper + lower)}"/>')
        path = " ".join(f"{across(p.step):.1f},{height(p.mean):.1f}" for p in points)
        hint = html.escape(f"{label}: {points[-1].mean:.5g} at step {points[-1].step}")
        parts.append(f'<polyline stroke="{colour}" points="{path}"><title>{hint}</title></polyline>')
        end = points[-1]
        parts.append(
            f'<circle fill="{colour}" r="2.5" cx="{across(end.step):.1f}" cy="{height(end.mean):.1f}"/>'
        )
    return "".join([*parts, "</svg>", _legend(lines)])


def _range(lines: Mapping[str, Sequence[Point]], alone: bool) -> tuple[float, float]:
    """Returns both ends of the vertical axis."""
    points = [point for line in lines.values() for point in line]
    means = [point.mean for point in points]
    if not alone:
        return min(means), max(means)
    low, high = (statistics.median(getattr(point, end) for point in points) for end in ("low", "high"))
    return min(*means, low), max(*means, high)


def _short(step: float) -> str:
    """Returns a number of steps in short form, such as 250k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if step >= 10 * size or (step >= size and step % (size / 10) == 0):
            return f"{step / size:g}{letter}"
    return f"{step:g}"


def _legend(lines: Mapping[str, Sequence[Point]]) -> str:
    items = [
        f'<span><i style="background:{colour}"></i>{html.escape(label)} {points[-1].mean:.4g}</span>'
        for (label, points), colour in zip(lines.items(), COLOURS * 10, strict=False)
    ]
    return f'<div class="legend">{"".join(items)}</div>'


def _scale(low: float, high: float, start: float, end: float, logarithmic: bool):
    """Returns the function that maps [low, high] to pixels [start, end], and clips values outside."""

    def to_line(value: float) -> float:
        return math.log10(value) if logarithmic else value

    low_line, span = to_line(low), to_line(high) - to_line(low)

    def to_pixels(value: float) -> float:
        inside = min(max(value, low), high)
        return start + (end - start) * ((to_line(inside) - low_line) / span if span else 0.5)

    return to_pixels


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Returns a few round values within [low, high]."""
    if low == high:
        return [low]
    if logarithmic:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            inside = [m * 10.0**p for p in powers for m in steps if low <= m * 10.0**p <= high]
            if len(inside) <= NUM_TICKS:
                break
        return inside[:: math.ceil(len(inside) / NUM_TICKS)]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
