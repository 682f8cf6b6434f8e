"""The report: curves, images, bad steps, plugins and recipe of a run in one HTML file."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from i1_hooks import UserError
from i1_hooks.files import read_json, write_atomically
from i1_model.checkpoints.workdir import CHECKPOINTS, checkpoint_steps

from i1_train.report.charts import line_chart
from i1_train.report.history import NUM_POINTS, Series, read_lines, read_series

REPORT = "report.html"
NUM_PICTURES = 8
NUM_SKIPPED = 50
CHARTS = (
    ("Loss", ("loss",)),
    ("Held-out loss", ("held_out/loss",)),
    ("Loss by time (0 noise, 1 data)", ("loss_by_time/",)),
    ("Held-out loss by time", ("held_out/time_",)),
    ("Gradient norm", ("grad_norm",)),
    ("Update norm", ("norm/update",)),
    ("Parameter norm", ("norm/parameters",)),
    ("Distance of the average", ("ema/drift",)),
    ("Learning rate", ("learning_rate",)),
    ("Images per second", ("images_per_second",)),
    ("Waiting for data, fraction of a step", ("data_wait",)),
    ("Model FLOP utilisation", ("utilisation",)),
    ("Largest memory, GiB", ("memory/",)),
    ("Bad steps", ("guard/",)),
)
"""Title and metrics of every chart; a name that ends in `/` or `_` stands for all that start with it."""
NOTE = f"""A long run is drawn as {NUM_POINTS} points: the line is the mean of successive steps, the band
reaches from the smallest to the largest of them, and the number below a chart is the last mean."""
STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --faint: #667085; --line: #d5dae1; --back: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ee; --faint: #98a2b3; --line: #3a4352; --back: #14181f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
       max-width: 1040px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.facts { color: var(--faint); margin-top: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(380px, 1fr)); gap: 1.2rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--faint); font-size: 10px; }
svg text.title { fill: var(--text); font-size: 13px; font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: .7; } svg polyline { fill: none; stroke-width: 1.6; }
.legend { padding-left: 12.6%; font-size: 12px; color: var(--faint);
          display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
.legend i { display: inline-block; width: 9px; height: 9px; border-radius: 5px; margin-right: 4px; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; border-radius: 4px; }
figcaption { font-size: 12px; color: var(--faint); }
table { border-collapse: collapse; font-size: 13px; }
td, th { border-bottom: 1px solid var(--line); padding: .2rem .8rem .2rem 0; text-align: left; }
pre { overflow-x: auto; font-size: 12px; }
"""


def write_report(workdir: Path) -> Path:
    """Writes `report.html` of a workdir, whose run may still be running.

    Returns:
        The path of the file, which needs no other file.

    Raises:
        UserError: for a folder that holds no run, or cannot be written.
    """
    config_file = workdir / "config.json"
    if not config_file.is_file():
        raise UserError(f"{workdir} holds no run: {config_file.name} is missing; name a workdir")
    config = read_json(config_file)
    return write_atomically(workdir / REPORT, make_page(workdir, config))


def make_page(workdir: Path, config: Mapping[str, object]) -> str:
    """Returns the report as HTML."""
    series = read_series(workdir / "metrics.jsonl")
    losses = series.get("loss", [])
    step = losses[-1].step if losses else 0
    facts = [
        f"{step} of {config.get('steps')} steps",
        f"batch {config.get('batch_size')}",
        f"seed {config.get('seed')}",
    ]
    facts += [f"loss {losses[-1].mean:.4f}"] if losses else []
    facts += _best_held_out(series)
    recipe = html.escape(str(config.get("recipe")))
    sections = [
        f"<h1>{recipe}</h1>",
        f'<p class="facts">{html.escape(", ".join(facts))}</p>',
        *_section("Curves by step", "charts", _charts(series), NOTE),
        *_section("Pictures", "pictures", _pictures(workdir / "samples")),
        *_bad_steps(workdir),
        *_versions(workdir),
        "<h2>Recipe</h2><details><summary>every field as JSON</summary>"
        f"<pre>{html.escape(json.dumps(config, indent=2))}</pre></details>",
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{recipe}: training report</title><style>{STYLE}</style>\n"
        + "\n".join(sections)
        + "</html>\n"
    )


def _section(title: str, kind: str, items: Sequence[str], note: str = "") -> list[str]:
    about = f'<p class="facts">{note}</p>' if note else ""
    return [f'<h2>{title}</h2>{about}<div class="{kind}">', *items, "</div>"] if items else []


def _charts(series: Series) -> list[str]:
    charts = []
    for title, wanted in CHARTS:
        lines = {
            name.removeprefix(prefix) or name: points
            for prefix in wanted
            for name, points in sorted(series.items())
            if name == prefix or (prefix[-1] in "/_" and name.startswith(prefix))
        }
        if lines:
            charts.append(f"<div>{line_chart(title, lines)}</div>")
    return charts


def _best_held_out(series: Series) -> list[str]:
    points = series.get("held_out/loss")
    if not points:
        return []
    best = min(points, key=lambda point: point.low)
    return [f"lowest held-out loss {best.low:.4f} at about step {best.step}"]


def _pictures(folder: Path) -> list[str]:
    files = sorted(folder.glob("step_*.png"))
    if len(files) > NUM_PICTURES:
        files = [files[round(i * (len(files) - 1) / (NUM_PICTURES - 1))] for i in range(NUM_PICTURES)]
    return [
        f'<figure><img alt="{file.stem}" src="data:image/png;base64,'
        f'{base64.b64encode(file.read_bytes()).decode()}"><figcaption>{html.escape(_step_name(file))}</figcaption>'
        "</figure>"
        for file in files
    ]


def _step_name(file: Path) -> str:
    digits = file.stem.removeprefix("step_")
    return f"step {int(digits)}" if digits.isdigit() else file.stem


def _bad_steps(workdir: Path) -> list[str]:
    rows = list(read_lines(workdir / "skipped_batches.jsonl"))
    failed = workdir / "failed_batch.json"
    if failed.is_file():
        rows.append({**json.loads(failed.read_text(encoding="utf-8")), "stopped": True})
    if not rows:
        return []
    lines = "".join(
        f"<tr><td>{row['step']}</td><td>{'stopped' if row.get('stopped') else 'skipped'}</td>"
        f"<td>{html.escape(str(row.get('loss')))}</td>"
        f"<td>{html.escape(', '.join(row.get('key', [])[:8]))}</td></tr>"
        for row in rows[-NUM_SKIPPED:]
    )
    head = "<tr><th>step</th><th></th><th>loss</th><th>keys of the batch</th></tr>"
    return [f"<h2>Bad steps</h2><table>{head}{lines}</table>"]


def _versions(workdir: Path) -> list[str]:
    folder = workdir / CHECKPOINTS
    records = [folder / str(step) / "run.json" for step in reversed(checkpoint_steps(workdir))]
    record = next((json.loads(file.read_text(encoding="utf-8")) for file in records if file.is_file()), {})
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(version)}</td></tr>"
        for kind in ("plugins", "libraries")
        for name, version in record.get(kind, {}).items()
    )
    return [f"<h2>Plugins and libraries of the newest checkpoint</h2><table>{lines}</table>"] if lines else []
