"""The page of an inspection: one HTML file without scripts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from i1_data.inspection.measure import Measured, percentiles

_STYLE = (
    "body{font:15px system-ui;margin:2em auto;max-width:70em;color:#222}"
    "figure{display:inline-block;width:128px;margin:6px;vertical-align:top;font-size:11px}img{max-width:128px}rect{fill:#4a78b5}h2{margin-top:2em}"
    "figcaption{max-height:5em;overflow:auto}td,th{padding:2px 12px;text-align:right}"
)
_BINS = 24


def render_page(title: str, found: Measured, shares: Sequence[tuple[str, float, float]]) -> str:
    """Returns the page as HTML.

    Args:
        title: what was inspected.
        found: what was measured.
        shares: name, asked-for share and observed share of each source, when there are several.
    """
    parts = [
        f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        f"<p>{found.records} records measured, {len(found.unreadable)} unreadable.</p>",
    ]
    if shares:
        rows = "".join(f"<tr><td>{escape(name)}<td>{asked:.2%}<td>{seen:.2%}" for name, asked, seen in shares)
        parts.append(f"<h2>Mixture</h2><table><tr><th>source<th>asked for<th>observed{rows}</table>")
    for name, values in (
        ("Shorter edge, pixels", [min(size) for size in zip(found.heights, found.widths, strict=True)]),
        (
            "Width / height, hundredths",
            [round(100 * w / h) for h, w in zip(found.heights, found.widths, strict=True)],
        ),
        ("Captions per record", found.captions),
        ("Words per caption", found.words),
        ("Tokens per caption", found.tokens),
    ):
        if values:
            parts.append(f"<h2>{name}</h2>{_histogram(values)}")
            parts.append(
                f"<p>{', '.join(f'{key} {value}' for key, value in percentiles(values).items())}</p>"
            )
    if found.unreadable:
        lines = "".join(f"<li>{escape(key)}: {escape(reason)}" for key, reason in found.unreadable)
        parts.append(f"<h2>Unreadable</h2><ul>{lines}</ul>")
    parts.append("<h2>Pictures</h2>")
    for data, caption in found.pictures:
        source = base64.b64encode(data).decode()
        image = f"<img src='data:image/jpeg;base64,{source}'>"
        parts.append(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")
    return "\n".join(parts) + "\n"


def _histogram(values: Sequence[int]) -> str:
    counts, edges = np.histogram(values, bins=_BINS)
    tallest = max(int(counts.max()), 1)
    heights = [100 * int(count) / tallest for count in counts]
    bars = "".join(
        f"<rect x='{20 * place}' y='{100 - height:.1f}' width='18' height='{height:.1f}'>"
        f"<title>{edges[place]:.0f} to {edges[place + 1]:.0f}: {counts[place]}</title></rect>"
        for place, height in enumerate(heights)
    )
    return f"<svg viewBox='0 0 {20 * _BINS} 100' width='{20 * _BINS}' height='100'>{bars}</svg>"
