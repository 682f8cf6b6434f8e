"""Runs against the library itself, offline; without it the tests are skipped."""

import json

import i1_plugin_wandb.plugin
import pytest
from i1_hooks import Registry, UserError, use_registry
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
    config = WandB(mode="offline")


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


def test_every_must_be_positive():
    with pytest.raises(UserError, match="wandb: every must be at least 1, got 0"):
        WandB(every=0)


def records(workdir):
    """Returns what the offline run of a workdir holds: history rows by step."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    rows = {}
    for file in sorted(workdir.glob("wandb/offline-run-*/run-*.wandb")):
        store = DataStore()
        store.open_for_scan(str(file))
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                items = {item.key or "/".join(item.nested_key): item for item in record.history.item}
                rows.setdefault(record.history.step.num, {}).update(
                    {name: json.loads(item.value_json) for name, item in items.items()}
                )
    return rows


def test_points_and_pictures_are_in_the_offline_run(tmp_path):
    fill(tmp_path)
    rows = records(tmp_path)
    assert [rows[step]["loss"] for step in range(1, 5)] == [1.0, 0.5, 1 / 3, 0.25]
    assert rows[4]["held_out/loss"] == 3.0
    assert any("samples" in row for row in rows.values())
    assert list(tmp_path.glob("wandb/offline-run-*/files/media/images/samples_*.png"))


def test_a_resumed_training_has_the_same_run(tmp_path):
    fill(tmp_path)
    before = (tmp_path / "wandb_run_id").read_text()
    fill(tmp_path, begin=2, end=6)
    assert (tmp_path / "wandb_run_id").read_text() == before
    assert {file.stem for file in tmp_path.glob("wandb/offline-run-*/run-*.wandb")} == {
        f"run-{before.strip()}"
    }
