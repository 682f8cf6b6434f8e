"""Runs against the library itself, offline; without it the tests are skipped."""

import os
import sqlite3
import tempfile
from pathlib import Path

import i1_plugin_trackio.plugin
import pytest
from i1_hooks import Registry, use_registry
from i1_hooks.registry import installed_plugins
from i1_plugin_trackio.logger import Trackio
from i1_train.testing import LoggerSuite
from PIL import Image

os.environ["TRACKIO_DIR"] = tempfile.mkdtemp()  # the library reads it when it is imported
trackio = pytest.importorskip("trackio", reason="needs: pip install trackio", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # of the library and what it imports


@pytest.fixture(autouse=True)
def registry():
    """The installed plugins, and this one where it is not."""
    found = installed_plugins()
    if not any(source.name == "trackio" for source in found):
        found = [*found, ("trackio", "i1-plugin-trackio", "0", lambda: i1_plugin_trackio.plugin)]
    with use_registry(Registry(found)):
        yield


class TestTrackio(LoggerSuite):
    component = Trackio(project="suite")

    def logged_steps(self, workdir):
        return sorted({step for step, text in rows_of(workdir.name, "suite") if '"loss"' in text})


def fill(workdir, begin=0, end=4, **settings):
    (workdir / "config.json").write_text('{"recipe": "mine"}')
    logger = Trackio(**{"project": "test", "every": 1, **settings}).build(workdir, begin)
    for step in range(begin + 1, end + 1):
        logger.log(step, {"loss": 1.0 / step, "loss_by_time/0.00-0.25": 2.0, "held_out/loss": 3.0})
    picture = workdir / "step_00000004.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    logger.log_image(end, "samples", picture)
    logger.flush()
    logger.close()


def rows_of(run, project="test"):
    """Returns step and metrics of every point of a run, from the library's database."""
    rows = []
    for file in Path(os.environ["TRACKIO_DIR"]).glob(f"{project}*.db"):
        with sqlite3.connect(file) as database:
            rows += database.execute(
                "select step, metrics from metrics where run_name = ? order by step", (run,)
            ).fetchall()
    return [(step, text if isinstance(text, str) else text.decode()) for step, text in rows]


def test_points_and_pictures_are_in_the_database(tmp_path):
    fill(tmp_path, name="first")
    rows = rows_of("first")
    losses = {step: text for step, text in rows if '"loss"' in text}
    assert sorted(losses) == [1, 2, 3, 4]
    assert "held_out/loss" in losses[4]
    assert any("samples" in text for _, text in rows)


def test_a_resumed_training_has_the_same_run(tmp_path):
    fill(tmp_path, name="second")
    fill(tmp_path, begin=2, end=6, name="second")
    assert {step for step, _ in rows_of("second")} == {1, 2, 3, 4, 5, 6}
