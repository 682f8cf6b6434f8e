"""The report: one file that shows the run and needs nothing else."""

import base64
import json
import re

import pytest
from i1_hooks import UserError
from i1_train.report.charts import line_chart
from i1_train.report.cli import main
from i1_train.report.history import Point, read_series
from PIL import Image


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"recipe": "mine <b>", "steps": 1000, "batch_size": 4}))
    rows = [
        {
            "step": step,
            "loss": 1 / step if step != 500 else None,
            "loss_by_time/0.00-0.25": 2.0,
            "loss_by_time/0.25-0.50": 1.0,
            **({"held_out/loss": 1 - step / 2000} if step % 100 == 0 else {}),
        }
        for step in range(1, 1001)
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines[:10], "{broken", *lines[10:], '{"step": 10']))
    (tmp_path / "samples").mkdir()
    for step in range(20):
        Image.new("RGB", (4, 4), (step, 0, 0)).save(tmp_path / "samples" / f"step_{step:08d}.png")
    checkpoint = tmp_path / "checkpoints" / "900"
    checkpoint.mkdir(parents=True)
    record = {"plugins": {"i1-plugin-zip": "0.1.0"}, "libraries": {"jax": "9.9"}}
    (checkpoint / "run.json").write_text(json.dumps(record))
    (tmp_path / "skipped_batches.jsonl").write_text('{"step": 500, "loss": "nan", "key": ["cat.png"]}\n')
    return tmp_path


def test_the_page_holds_all_it_shows(workdir, capsys):
    assert main([str(workdir)]) == 0
    assert capsys.readouterr().out == f"{workdir / 'report.html'}\n"
    page = (workdir / "report.html").read_text()
    assert "<h1>mine &lt;b&gt;</h1>" in page
    assert "1000 of 1000 steps" in page
    assert re.search(r"lowest held-out loss 0.5000 at about step 1000", page)
    for shown in ("Loss by time", "i1-plugin-zip", "9.9", "cat.png", "skipped"):
        assert shown in page
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 8
    assert base64.b64decode(pictures[-1]) == (workdir / "samples" / "step_00000019.png").read_bytes()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert not re.search(r"url\(|@import|<script", page)


def test_points_are_few_and_keep_the_extremes(workdir):
    points = read_series(workdir / "metrics.jsonl", num_points=10)["loss"]
    assert len(points) == 10
    assert points[0].high == 1.0
    assert points[-1].step == 1000
    assert points[-1].low == 1 / 1000
    assert sum(point.count for point in points) == 999  # the null is left out


@pytest.mark.parametrize(
    "values", [[1.0], [2.0, 2.0], [0.0, 1e-3], [1e-4, 1.0, 50.0], [-3.0, 4.0], [1e-9, 1e9]]
)
def test_a_chart_of_any_values(values):
    points = []
    for step, value in enumerate(values, 1):
        points.append(Point(step))
        points[-1].add(step, value)
    chart = line_chart("Loss & more", {"loss": points})
    assert "Loss &amp; more" in chart
    assert "nan" not in chart
    assert len(re.findall('class="grid"', chart)) in range(1, 8)
    for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", " ".join(re.findall(r'points="([^"]+)"', chart))):
        assert 0 <= float(x) <= 460
        assert 0 <= float(y) <= 240


def test_a_rare_value_does_not_flatten_a_chart():
    points = [Point(step, 10, 10.0 + step / 10, 0.5, 2.0) for step in range(1, 101)]
    points[50].high = 500.0
    chart = line_chart("Loss", {"loss": points})
    line = re.search(r'<polyline [^>]*points="([^"]+)"', chart)[1]
    heights = [float(point.split(",")[1]) for point in line.split()]
    assert max(heights) - min(heights) > 100


def test_a_run_without_metrics_has_a_page(tmp_path):
    (tmp_path / "config.json").write_text('{"recipe": "mine", "steps": 5}')
    main([str(tmp_path)])
    assert "0 of 5 steps" in (tmp_path / "report.html").read_text()


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"holds no run: config\.json is missing"):
        main([str(tmp_path)])
