"""Runs against the library itself, offline; without it the tests are skipped."""

import json

import i1_plugin_wandb.plugin
import pytest
from i1_hooks import Registry, use_registry
from i1_hooks.registry import installed_plugins
from i1_plugin_wandb.logger import WandB
from i1_train.testing import LoggerSuite
from PIL import Image

wandb = pytest.importorskip("wandb", reason="needs: pip install wandb", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # of the library and what it imports


@pytest.fixture(autouse=True)
def registry():
    """The installed plugins, and this one where it is not."""
    found = installed_plugins()
    if not any(source.name == "wandb" for source in found):
        found = [*found, ("wandb", "i1-plugin-wandb", "0", lambda: i1_plugin_wandb.plugin)]
    with use_registry(Registry(found)):
        yield


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Nothing of this machine's account is read or written."""
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb_home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield
    wandb.teardown()


class TestWandB(LoggerSuite):
    component = WandB(mode="offline")


def fill(workdir, begin=0, end=4, **settings):
    (workdir / "config.json").write_text('{"recipe": "mine"}')
    logger = WandB(**{"mode": "offline", "every": 1, **settings}).build(workdir, begin)
    for step in range(begin + 1, end + 1):
        logger.log(step, {"loss": 1.0 / step, "loss_by_time/0.00-0.25": 2.0, "held_out/loss": 3.0})
    picture = workdir / "step_00000004.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    logger.log_image(end, "samples", picture)
    logger.flush()
    logger.close()


def test_points_and_pictures_are_in_the_offline_run(tmp_path):
    fill(tmp_path)
    (run,) = tmp_path.glob("wandb/offline-run-*")
    (log,) = run.glob("run-*.wandb")
    written = log.read_bytes()
    for name in ("loss", "loss_by_time/0.00-0.25", "held_out/loss", "samples"):
        assert name.encode() in written, name
    for value in (1.0, 0.5, 1 / 3, 0.25):
        assert json.dumps(value).encode() in written, value
    assert b"mine" in written
    assert list((run / "files").glob("media/images/samples_*.png"))


def test_a_resumed_training_has_the_same_run(tmp_path):
    fill(tmp_path)
    before = (tmp_path / "wandb_run_id").read_text()
    fill(tmp_path, begin=2, end=6)
    assert (tmp_path / "wandb_run_id").read_text() == before
    assert {file.stem for file in tmp_path.glob("wandb/offline-run-*/run-*.wandb")} == {
        f"run-{before.strip()}"
    }
