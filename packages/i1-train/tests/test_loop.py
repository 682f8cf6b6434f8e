"""The loop around the step: losses, folders, plugins, mistakes."""

import fcntl
import itertools
import json
import os
import re
import signal
import threading
import time

import jax
import numpy as np
import pytest
import small_runs as runs
from i1_data.scenes.source import Scenes
from i1_hooks import Registry, UserError, from_json, hookimpl, to_dict, use_registry
from i1_hooks.registry import installed_plugins, make_registry
from i1_model.arrays.trees import flatten
from i1_model.checkpoints.folder import load_model
from i1_train.checkpoints.manifest import verify
from i1_train.cli import main
from i1_train.config import TrainConfig
from i1_train.monitoring.bad_steps import NotFiniteError
from i1_train.monitoring.metrics import Metrics
from i1_train.process.signals import RunInterruptedError


@pytest.fixture(autouse=True)
def quick_step(monkeypatch):
    """A step that compiles and learns nothing, since these tests look at what is around it."""

    def make(config, parts, placement):
        def step(state, constants, batch):
            number = int(state["step"]) + 1
            loss = float("nan") if number == NAN_STEP else 1 / number
            metrics = {"loss": loss, "grad_norm": 1.0, "learning_rate": 1e-3}
            return {**state, "step": state["step"] + 1}, metrics

        return step

    monkeypatch.setattr("i1_train.opening.make_step", make)


NAN_STEP = 9


def test_a_model_folder_holds_the_averaged_weights(tmp_path):
    runs.run(tmp_path, "steps=2")
    loaded = load_model(tmp_path / "checkpoints" / "2" / "model")
    assert loaded.config == runs.recipe().model
    assert loaded.metadata["step"] == 2
    assert loaded.metadata["recipe"] == "scenes-tiny"
    assert loaded.metadata["sampling"] == to_dict(runs.recipe().sampling)
    saved = runs.arrays(tmp_path, 2)
    for path, value in flatten(loaded.params).items():
        kind = "params" if path.endswith("pos_embed") else "ema"
        np.testing.assert_array_equal(value, saved[f"['{kind}']['{path}']"], err_msg=path)


def test_the_config_beside_a_run_is_the_resolved_recipe(tmp_path):
    runs.run(tmp_path, "steps=1", "seed=3")
    expected = runs.recipe("steps=1", "seed=3")
    assert from_json(TrainConfig, (tmp_path / "config.json").read_text()) == expected


def test_keeping_checkpoints_while_the_clock_jumps(tmp_path, monkeypatch):
    jumps, now = itertools.cycle([0.0, 60.0, -60.0]), time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    runs.run(tmp_path, "steps=8", "checkpoints.every=1", "checkpoints.keep=2", "checkpoints.keep_every=3")
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["3", "6", "7", "8"]


def test_plain_lines_and_tensorboard(tmp_path, capsys):
    runs.run(tmp_path, "steps=3", "log_every=2", 'loggers=["jsonl","tensorboard"]')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("scenes-tiny: ")
    assert [line.split("  ")[0] for line in lines[1:]] == ["step 1/3", "step 2/3", "step 3/3"]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


class Recorder:
    """A plugin that writes down what it is told, and one that fails."""

    def __init__(self, fails=False):
        self.calls = []
        self.fails = fails

    @hookimpl
    def i1_run_started(self, workdir, recipe, step):
        self.calls.append(("started", recipe, step))
        if self.fails:
            raise OSError("no such luck")

    @hookimpl
    def i1_checkpoint_saved(self, workdir, model, step, prompts):
        assert (model / "model.safetensors").is_file()
        assert prompts == ("a red circle",)
        self.calls.append(("saved", step))

    @hookimpl
    def i1_run_finished(self, workdir, step, status):
        self.calls.append(("finished", step, status))


def registry_with(**plugins):
    first_party = [
        plugin for plugin in installed_plugins() if plugin[1] in ("i1-model", "i1-data", "i1-train")
    ]
    others = [(name, name, "1", lambda plugin=plugin: plugin) for name, plugin in plugins.items()]
    return Registry([*first_party, *others])


def test_plugins_are_told_and_a_failing_one_is_named(tmp_path, capsys):
    good, bad = Recorder(), Recorder(fails=True)
    with use_registry(registry_with(good=good, bad=bad)):
        runs.run(tmp_path, "steps=2", "checkpoints.every=1", 'preview_prompts=["a red circle"]')
    expected = [("started", "scenes-tiny", 0), ("saved", 1), ("saved", 2), ("finished", 2, "done")]
    assert good.calls == bad.calls == expected
    warning = "i1: warning: plugin 'bad' failed in i1_run_started: OSError: no such luck\n"
    assert capsys.readouterr().err == warning


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    recorder = Recorder()
    with (
        use_registry(registry_with(recorder=recorder)),
        pytest.raises(NotFiniteError, match=r"loss nan, .* at step 9: stopped without saving"),
    ):
        runs.run(tmp_path, "checkpoints.every=3", "data.prefetch=0", 'preview_prompts=["a red circle"]')
    assert recorder.calls[-1] == ("finished", 9, "failed")
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["3", "6"]
    failed = json.loads((tmp_path / "failed_batch.json").read_text())
    assert (failed["step"], failed["loss"]) == (9, "nan")
    assert len(failed["key"]) == len(failed["caption"]) == 4
    assert [row["step"] for row in runs.metrics(tmp_path)] == list(range(1, 9))


def test_two_runs_in_one_workdir(tmp_path):
    with (tmp_path / ".lock").open("a+") as lock:
        lock.write("123\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is in use by process 123; stop that run or choose another"):
            runs.run(tmp_path)


def test_a_workdir_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match=r"workdir .*run: File exists; choose a folder that can be written"):
        runs.run(tmp_path / "run")


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    import i1_train.run

    write_model = i1_train.run.write_model

    def full(folder, config, network, params, metadata):
        if metadata["step"] == 2:
            raise OSError(28, "No space left on device")
        return write_model(folder, config, network, params, metadata)

    monkeypatch.setattr(i1_train.run, "write_model", full)
    message = r"cannot write checkpoint .*2: No space left on device; the last good checkpoint is .*1; free"
    with pytest.raises(UserError, match=message):
        runs.run(tmp_path, "steps=3", "checkpoints.every=1")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["1"]
    monkeypatch.undo()
    assert runs.run(tmp_path, "steps=3", "checkpoints.every=1") == 3


FULL_DISK = """
import resource
import i1_train.opening
from i1_train.checkpoints.manager import Checkpoints

def step(state, constants, batch):
    return {**state, "step": state["step"] + 1}, {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 1e-3}
i1_train.opening.make_step = lambda *_: step

begin = Checkpoints.begin
def limited(self, step, *rest):
    if step == 2:
        self.wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    begin(self, step, *rest)
Checkpoints.begin = limited
"""


def test_a_disk_that_is_full_while_the_state_is_written(tmp_path):
    settings = ("steps=3", "checkpoints.every=1")
    status, _, err = runs.start(tmp_path, *settings, before=FULL_DISK)
    assert status == 2
    reason = "cannot write checkpoint .*/2: File too large; the last good checkpoint is .*/1; free space"
    (line,) = [line for line in err.splitlines() if line.startswith("i1:")]
    assert re.fullmatch(f"i1: error: {reason} and run again", line)
    assert "Traceback" not in err
    assert [path.name for path in (tmp_path / "checkpoints").glob("[0-9]*")] == ["1"]
    verify(tmp_path / "checkpoints" / "1")


def test_a_signal_during_a_write_saves_once(tmp_path, monkeypatch):
    import i1_train.run

    write_model, add, written = i1_train.run.write_model, Metrics.add, threading.Event()

    def slow(folder, config, network, params, metadata):
        assert written.wait(60)
        return write_model(folder, config, network, params, metadata)

    def stop_at_six(self, step, *rest, **named):
        add(self, step, *rest, **named)
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Timer(0.2, written.set).start()

    monkeypatch.setattr(i1_train.run, "write_model", slow)
    monkeypatch.setattr(Metrics, "add", stop_at_six)
    with pytest.raises(RunInterruptedError, match=r"SIGTERM at step 6: saved to .*checkpoints/3$"):
        runs.run(tmp_path, "checkpoints.every=3")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["3"]
    assert len(runs.metrics(tmp_path)) == 6
    assert runs.run(tmp_path, "checkpoints.every=3", "steps=5") == 5
    assert [row["step"] for row in runs.metrics(tmp_path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("threads", ["data.num_threads=0", "data.num_threads=2"])
def test_data_that_dies(tmp_path, monkeypatch, threads):
    read = Scenes.__getitem__
    calls = itertools.count()

    def dying(self, index):
        if next(calls) > 20:
            raise RuntimeError("worker died")
        return read(self, index)

    monkeypatch.setattr(Scenes, "__getitem__", dying)
    message = r"the data failed after step \d+ \(RuntimeError: .*worker died.*\); correct it and run again"
    with pytest.raises(UserError, match=message):
        runs.run(tmp_path, "checkpoints.every=2", threads)
    monkeypatch.undo()


def test_a_device_without_memory(tmp_path, monkeypatch):
    def make(config, parts, *rest):
        def step(state, constants, batch):
            if int(state["step"]) == 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: trying to allocate 5 bytes")
            metrics = {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 1e-3}
            return {**state, "step": state["step"] + 1}, metrics

        return step

    monkeypatch.setattr("i1_train.opening.make_step", make)
    with pytest.raises(UserError, match=r"out of memory on .*: 5 bytes did not fit; .* grad_accumulation=2"):
        runs.run(tmp_path, "checkpoints.every=2")
    verify(tmp_path / "checkpoints" / "2")


def test_held_out_loss_and_the_best_checkpoints(tmp_path):
    scenes = '[{"component": "scenes", "num_records": 40, "seed": 1}]'
    settings = [
        "steps=4",
        "checkpoints.every=1",
        "checkpoints.keep=1",
        "checkpoints.keep_best=2",
        "held_out.every=100",
    ]
    settings += [f"held_out.sources={scenes}", "held_out.num_images=6", "held_out.times=[0.2,0.8]"]
    runs.run(tmp_path, *settings)
    rows = runs.metrics(tmp_path)
    names = ("held_out/loss", "held_out/time_0.2", "held_out/time_0.8")
    values = [[row[name] for name in names] for row in rows]
    assert all(found == values[0] for found in values)  # the weights stayed, so do pictures, times and noise
    assert values[0][0] == pytest.approx((values[0][1] + values[0][2]) / 2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1", "2", "4"]
    record = json.loads((tmp_path / "checkpoints" / "4" / "run.json").read_text())
    assert record["score"] == values[0][0]


def test_the_command_that_goes_on_repeats_the_plugins(tmp_path, monkeypatch, capsys):
    def stopped(config, workdir, *, profile):
        raise RunInterruptedError("SIGTERM at step 3: saved to x")

    monkeypatch.setattr("i1_train.loop.train", stopped)
    file = tmp_path / "my_plugin.py"
    file.write_text("")
    arguments = ["scenes-tiny", "--workdir", "run dir"]
    with use_registry(make_registry([file])):
        assert main(arguments) == 1
    assert (
        f"resume with: i1 --plugin {file} train scenes-tiny --workdir 'run dir'\n" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ["checkpoints.keep_best=1"],
            r"keep_best 1 needs a held-out loss .* held_out\.sources",
        ),
        (["held_out.times=[2]"], r"held_out\.times must be numbers from 0 to 1"),
        (["held_out.every=0"], r"held_out\.every must be at least 1"),
        (["guard.on_spike=jump"], "guard.on_spike"),
        (["batch_size=3", "grad_accumulation=2"], "grad_accumulation 2 does not divide batch_size 3"),
        (["data.resolution=32"], r"data\.resolution 32 is not model\.resolution 64"),
        (["steps=0"], "steps must be at least 1, got 0"),
        (["seed=-1"], "seed must be within"),
        (['frozen=["("]'], r"'\(' is not a regular expression"),
        (["average.decay=1.0"], "average.decay must be at least 0 and below 1"),
        (["stepz=4"], "unknown config path 'stepz'; did you mean 'steps'"),
        (["schedule=constnt"], "unknown schedule 'constnt'; did you mean 'constant'"),
        (["schedule.lr=0"], "lr must be above 0"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, assignments, message):
    with pytest.raises(UserError, match=message):
        runs.run(tmp_path / "run", *assignments)
    assert not (tmp_path / "run").exists()


def test_a_mistake_in_the_data_does_not_claim_the_workdir(tmp_path):
    with pytest.raises(UserError, match="no folder '/nowhere'"):
        runs.run(tmp_path, 'data.sources=[{"component":"image_folder","root":"/nowhere"}]')
    assert runs.run(tmp_path, "steps=1") == 1


def test_an_unknown_recipe():
    with pytest.raises(UserError, match="unknown recipe 'scens'; did you mean 'scenes'"):
        main(["scens", "--workdir", "x"])


def test_showing_a_recipe(capsys):
    assert main(["scenes", "--set", "steps=7", "--show"]) == 0
    assert from_json(TrainConfig, capsys.readouterr().out).steps == 7


def test_help_names_the_way_to_go_on(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "resumes the run where it stopped" in capsys.readouterr().out
