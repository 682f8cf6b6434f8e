"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from i1_bench.reports.charts import bars, curves, radar
from i1_bench.reports.collect import RunReport, ShownPicture
from i1_bench.reports.markdown import notes, number
from i1_bench.reports.published import COLUMNS, PERCENT, five_benchmark_average, main_table

Curves = Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]
"""For each benchmark the curves of its score."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1100px; }
body { margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-top: 1px solid #e5e7eb; padding-top: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .3rem .7rem; text-align: right; }
td:first-child, th:first-child { text-align: left; } tr { border-bottom: 1px solid #e5e7eb; }
.own { font-weight: 600; color: #c2410c; }
.warn { background: #fef2f2; border-left: 4px solid #dc2626; padding: .6rem 1rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 160px; height: 160px; border-radius: 4px; }
figcaption { font-size: 12px; line-height: 1.35; overflow-wrap: anywhere; } .reason { color: #b91c1c; }
.columns { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start; }
svg { max-width: 100%; height: auto; }
.small { font-size: 13px; color: #6b7280; } select { font: inherit; }
"""
_SCRIPT = """
for (const select of document.querySelectorAll("select")) {
  select.addEventListener("change", () => {
    for (const figure of select.closest("section").querySelectorAll("figure")) {
      figure.hidden = select.value !== "" && figure.dataset.category !== select.value;
    }
  });
}
"""


def page(runs: Sequence[RunReport], sweeps: Curves | None = None) -> str:
    """Returns the page.

    Args:
        runs: what it shows.
        sweeps: curves over settings or checkpoints, by benchmark.
    """
    own = {run.name: run.scores["score"] for run in runs}
    parts = ["<h1>Benchmarks</h1>", _score_table(runs)]
    parts += [f'<p class="warn">{_escape(note.strip("*"))}</p>' for run in runs for note in notes(run)]
    average = five_benchmark_average(own)
    if average is not None:
        parts.append(f"<p>Average of the five benchmarks: <strong>{average:.2f}</strong></p>")
    if len([name for name in COLUMNS if own.get(name) is not None]) >= 3:
        parts.append(radar(list(COLUMNS.values()), _radar_models(own)))
    if any(name in COLUMNS for name in own):
        parts += ["<h2>Beside published results</h2>", _published_table(own)]
    parts += [_section(run, (sweeps or {}).get(run.name, {})) for run in runs]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Benchmarks</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>\n{body}\n<script>{_SCRIPT}</script></body></html>\n"
    )


def _escape(text: Any) -> str:
    return html.escape(str(text))


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    heads = "".join(f"<th>{_escape(cell)}</th>" for cell in head)
    body = "".join(
        f'<tr class="{kind}">' + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>"
        for kind, cells in rows
    )
    return f"<table><tr>{heads}</tr>{body}</table>"


def _score_table(runs: Sequence[RunReport]) -> str:
    rows = []
    for run in runs:
        scores, counts = run.scores, run.scores["counts"]
        interval = "-" if scores["interval"] is None else " to ".join(f"{b:.4g}" for b in scores["interval"])
        judged = f"{counts['judged']} of {counts['pictures']}"
        cells = [run.name, number(scores["score"]), interval, number(scores["score_fixed"]), judged]
        rows.append(("", cells))
    return _table(["benchmark", "score", "95% interval", "fixed", "judged"], rows)


def _radar_models(own: Mapping[str, float | None]) -> dict[str, list[float | None]]:
    def percent(name: str, value: float | None) -> float | None:
        return None if value is None else PERCENT[name] * value

    models = {"this run": [percent(name, own.get(name)) for name in COLUMNS]}
    for row in main_table():
        if row["model"] in ("i1", "FLUX.1 [Dev]", "HiDream-I1-Full", "Qwen-Image"):
            models[row["model"]] = [percent(name, row[column]) for name, column in COLUMNS.items()]
    return models


def _published_table(own: Mapping[str, float | None]) -> str:
    average = number(five_benchmark_average(own))
    rows = [("own", ["this run", "", *(number(own.get(name)) for name in COLUMNS), average])]
    for row in main_table():
        values = [number(row[c]) + ("*" if c in row["starred"] else "") for c in COLUMNS.values()]
        rows.append(
            (
                "",
                [
                    row["model"],
                    row["params"],
                    *values,
                    number(row["five_benchmark_average_percent_computed"]),
                ],
            )
        )
    note = '<p class="small">From the project page of i1; a star marks values it took elsewhere.</p>'
    return _table(["model", "parameters", *COLUMNS.values(), "average"], rows) + note


def _section(run: RunReport, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    scores = run.scores
    parts = [f"<h2>{_escape(run.name)}</h2>", '<div class="columns">']
    parts.append(
        _table(["category", "score"], [("", [n, number(v)]) for n, v in scores["categories"].items()])
    )
    if run.name in COLUMNS and scores["score"] is not None:
        column = COLUMNS[run.name]
        values = {row["model"]: row[column] for row in main_table() if row[column] is not None}
        values["this run"] = scores["score"]
        parts.append(bars(column, values, own="this run", interval=scores["interval"]))
    if lines:
        parts.append(curves(f"{run.name}: score", "evaluations of the network", lines))
    parts.append("</div>")
    parts.append(f'<p class="small">Judged by {_escape("; ".join(run.judges))}</p>')
    categories = sorted({picture.row["category"] for picture in (*run.best, *run.worst)})
    if categories:
        options = "".join(f"<option>{_escape(category)}</option>" for category in categories)
        parts.append(
            f'<label>Show <select><option value="">all categories</option>{options}</select></label>'
        )
    for title, pictures in (("Best", run.best), ("Worst", run.worst)):
        if pictures:
            figures = "".join(_figure(picture) for picture in pictures)
            parts.append(f'<h3>{title}</h3><div class="pictures">{figures}</div>')
    return f"<section>{''.join(parts)}</section>"


def _figure(picture: ShownPicture) -> str:
    row = picture.row
    value = row["credit"] / row["weight"]
    reason = f'<br><span class="reason">{_escape(row["reason"])}</span>' if row["reason"] else ""
    return (
        f'<figure data-category="{_escape(row["category"])}">'
        f'<img alt="{_escape(row["prompt"][:200])}" src="data:image/jpeg;base64,{picture.jpeg}">'
        f"<figcaption>{value:.2f} {_escape(row['prompt'][:160])}{reason}</figcaption></figure>"
    )
