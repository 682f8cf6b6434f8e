"""Metrics on the host: one step late, never lost, never stopped by a logger or by the clock on the wall."""

import dataclasses
import json
import time
import types

import jax.numpy as jnp
import pytest
import small_runs as runs
from i1_data.records.tfrecord import index_records, read_record
from i1_hooks import Component, Registry, UserError, hookimpl, use_registry
from i1_hooks.registry import installed_plugins
from i1_train.loggers.base import Logger, LoggerConfig
from i1_train.loggers.group import LoggerGroup
from i1_train.loggers.tensorboard import TensorBoard
from i1_train.monitoring.bad_steps import BadSteps
from i1_train.monitoring.metrics import Metrics
from i1_train.monitoring.progress import NoDisplay, Pace, describe
from i1_train.monitoring.utilisation import Utilisation
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

BATCH = {"keys": ["a"], "captions": ["x"]}


class Failing(Logger):
    """Fails at its second step."""

    def log(self, step, metrics):
        if step == 2:
            raise ConnectionError("no network")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FailingConfig(LoggerConfig):
    def build(self, workdir, step):
        return Failing()


class Plugin:
    @hookimpl
    def i1_loggers(self):
        return [Component("failing", f"{FailingConfig.__module__}:FailingConfig", "fails")]


@pytest.fixture
def registry():
    ours = [plugin for plugin in installed_plugins() if plugin[1] in ("i1-model", "i1-data", "i1-train")]
    with use_registry(Registry([*ours, ("failing", "failing", "1", Plugin)])) as registry:
        yield registry


def open_metrics(workdir, utilisation=None):
    bad_steps = BadSteps(workdir, 0)
    loggers = LoggerGroup((), workdir, 0)
    return Metrics(loggers, bad_steps, NoDisplay(), batch_size=4, utilisation=utilisation)


def scalars(loss=1.0, **others):
    values = {"loss": loss, "grad_norm": 1.0, "learning_rate": 0.1, **others}
    return {name: jnp.float32(value) for name, value in values.items()}


def test_a_logger_that_fails_is_named_once_and_left_out(tmp_path, registry, capsys):
    group = LoggerGroup((FailingConfig(),), tmp_path, 0)
    for step in (1, 2, 3):
        group.log(step, {"loss": 1.0})
    group.flush()
    group.close()
    warning = (
        "i1: warning: logger 'failing' failed and is not used from here on: ConnectionError: no network\n"
    )
    assert capsys.readouterr().err == warning
    assert [row["step"] for row in runs.metrics(tmp_path)] == [1, 2, 3]


def test_tensorboard_on_a_full_disk_is_left_out(tmp_path, monkeypatch, capsys):
    group = LoggerGroup((TensorBoard(every=1),), tmp_path, 0)
    group.log(1, {"loss": 1.0})

    def full(self, event):
        self._py_recordio_writer.close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tensorboardX.event_file_writer.EventsWriter.write_event", full)
    for step in range(2, 30):
        group.log(step, {"loss": 1.0})
    group.close()
    warning = "logger 'tensorboard' failed and is not used from here on: OSError: [Errno 28] No space left"
    assert capsys.readouterr().err == f"i1: warning: {warning} on device\n"
    assert len(runs.metrics(tmp_path)) == 29


def test_what_tensorboard_reads(tmp_path):
    Image.new("RGB", (8, 4), "red").save(tmp_path / "picture.png")
    for begin in (0, 2):
        logger = TensorBoard(every=2).build(tmp_path, begin)
        for step in range(begin + 1, begin + 5):
            logger.log(step, {"loss": 1 / step, "grad_norm": 2.0})
        logger.log_image(begin + 4, "samples", tmp_path / "picture.png")
        logger.close()
    found = []
    for file in sorted((tmp_path / "tensorboard").iterdir()):
        for offset, length in index_records(file):
            event = Event.FromString(read_record(file, int(offset), int(length)))
            values = {value.tag: value for value in event.summary.value}
            found.append((event.step, event.session_log.status, sorted(values)))
    points, picture = ["grad_norm", "loss"], ["samples"]
    assert found == [
        *((0, 0, []), (1, 0, points), (2, 0, points), (4, 0, points), (4, 0, picture)),
        *((0, 0, []), (3, 1, []), (4, 0, points), (6, 0, points), (6, 0, picture)),
    ]
    assert values["samples"].image.width == 8


def test_json_lines_are_written_without_being_asked_for(tmp_path):
    metrics = open_metrics(tmp_path)
    metrics.add(1, scalars(), **BATCH)
    metrics.flush()
    metrics.close()
    (row,) = runs.metrics(tmp_path)
    assert list(row)[:2] == ["step", "loss"]


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    metrics = open_metrics(tmp_path, Utilisation(1e6, 1e12))
    wall = iter([4e9, -1e9, 0.0, 2e9, 1e9] * 100)
    monkeypatch.setattr(time, "time", lambda: next(wall))
    for step in (1, 2, 3):
        metrics.add(step, scalars(), **BATCH, data_seconds=1e-6)
    metrics.flush()
    metrics.close()
    for row in runs.metrics(tmp_path)[1:]:
        assert 0 < row["images_per_second"] < 1e9
        assert 0 <= row["data_wait"] <= 1
        assert 0 < row["utilisation"] < 1e9


def test_a_checkpoint_does_not_count_as_time_of_a_step(tmp_path, monkeypatch):
    now = iter([102.0, 110.0, 112.0, 116.0])
    monkeypatch.setattr(
        "i1_train.monitoring.metrics.time", types.SimpleNamespace(monotonic=lambda: next(now))
    )
    metrics = open_metrics(tmp_path)
    metrics.add(1, scalars(), **BATCH)
    metrics.flush()  # 102, with the time of compilation
    metrics.restart_clock()  # 110
    metrics.add(2, scalars(), **BATCH)
    metrics.add(3, scalars(), **BATCH, data_seconds=1.0)  # 112
    metrics.flush()  # 116
    metrics.close()
    found = [(row.get("images_per_second"), row.get("data_wait")) for row in runs.metrics(tmp_path)]
    assert found == [(None, None), (2.0, 0.0), (1.0, 0.25)]


def test_a_part_of_the_time_without_examples_is_left_out(tmp_path):
    metrics = open_metrics(tmp_path)
    empty = {"loss_by_time/0.00-0.25": float("nan"), "loss_by_time/0.25-0.50": 2.0}
    metrics.add(1, scalars(**empty), **BATCH)
    metrics.flush()
    metrics.close()
    (row,) = runs.metrics(tmp_path)
    assert "loss_by_time/0.00-0.25" not in row
    assert row["loss_by_time/0.25-0.50"] == 2.0


def test_a_skipped_step_is_null_in_json(tmp_path):
    metrics = open_metrics(tmp_path)
    metrics.add(1, scalars(float("nan"), **{"guard/skipped": 1.0}), **BATCH)
    metrics.flush()
    metrics.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["loss"] is None


def test_time_left():
    now = iter([100.0, 110.0, 120.0, 4120.0])
    pace = Pace(1000, lambda: next(now))
    assert [pace.left(step) for step in (1, 2, 3, 4)] == ["--:--", "2:46:20", "2:46:10", "370:44:00"]


def test_the_line_of_a_step():
    values = {"loss": 0.5, "grad_norm": 2.0, "learning_rate": 1e-4, "images_per_second": 12.0}
    line = describe({**values, "memory/host": 1.25, "memory/device": 70.0, "utilisation": 0.512})
    assert line == "loss 0.5000  grad 2.000  lr 1.00e-04  12.0 images/s  MFU 51.2%  70.0 GiB"
    assert describe({**values, "memory/host": 1.25, "held_out/loss": 0.6}).endswith("images/s  1.2 GiB")


def test_a_record_that_cannot_be_written_ends_the_run(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*metrics\.jsonl: Is a directory"):
        LoggerGroup((), tmp_path, 0)
