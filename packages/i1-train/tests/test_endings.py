"""How runs end: the last checkpoint is announced, and a closed output saves as a signal does."""

import json
import os
import subprocess
import sys
import time

import pytest
import small_runs as runs
from i1_hooks import Registry, hookimpl, use_registry
from i1_hooks.registry import installed_plugins
from PIL import Image


class Recorder:
    """A plugin that writes down which checkpoints it is told of."""

    def __init__(self):
        self.saved = []

    @hookimpl
    def i1_checkpoint_saved(self, workdir, model, step, prompts):
        assert (model / "model.safetensors").is_file()
        self.saved.append(step)


@pytest.fixture
def recorder():
    recorder = Recorder()
    ours = [plugin for plugin in installed_plugins() if plugin[1] in ("i1-model", "i1-data", "i1-train")]
    with use_registry(Registry([*ours, ("recorder", "recorder", "1", lambda: recorder)])):
        yield recorder


def test_the_only_checkpoint_of_a_run_is_announced(tmp_path, monkeypatch, recorder):
    import i1_train.run

    write_model = i1_train.run.write_model

    def slow(*arguments):
        time.sleep(0.5)  # so that the run reaches its end while the checkpoint is still being written
        return write_model(*arguments)

    def make(config, parts, placement):
        def step(state, constants, batch):
            metrics = {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 1e-3}
            return {**state, "step": state["step"] + 1}, metrics

        return step

    monkeypatch.setattr("i1_train.opening.make_step", make)
    monkeypatch.setattr(i1_train.run, "write_model", slow)
    runs.run(tmp_path, "steps=2")
    assert recorder.saved == [2]


CLOSED = f"""
{runs.SLOW}
from i1_hooks.cli import main
import sys
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("closed", ["stdout", "stderr and stdout"])
def test_a_closed_output_saves_and_stops(tmp_path, closed):
    workdir = tmp_path / "run"
    settings = [flag for setting in (*runs.SETTINGS, "log_every=1") for flag in ("--set", setting)]
    command = [sys.executable, "-c", CLOSED, "train", "scenes-tiny", "--workdir", str(workdir), *settings]
    errors = subprocess.PIPE if closed == "stdout" else subprocess.STDOUT
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=os.environ) as process:
        process.stdout.readline()
        process.stdout.readline()
        process.stdout.close()  # as `| head -2` does
        err = process.stderr.read().decode() if process.stderr else ""
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    if closed == "stdout":
        assert "i1: closed output at step" in err
        assert "resume with: i1 train scenes-tiny" in err
    (step,) = (int(path.name) for path in (workdir / "checkpoints").iterdir())
    assert step == len(runs.metrics(workdir)) < 12


def test_a_platform_that_is_not_there_is_one_line(tmp_path):
    command = [sys.executable, "-m", "i1_hooks", "train", "scenes-tiny", "--workdir", str(tmp_path / "run")]
    found = subprocess.run(
        command, env={**os.environ, "JAX_PLATFORMS": "cuda"}, capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    (line,) = [line for line in found.stderr.splitlines() if line.startswith("i1:")]
    assert line.startswith("i1: error: JAX_PLATFORMS=cuda: jax cannot use it (")
    assert "unset JAX_PLATFORMS" in line
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "run").exists()


SMALLEST = (
    *("batch_size=1", "grad_accumulation=1", "steps=1", "seed=0", "log_every=1"),
    *("checkpoints.every=1", "checkpoints.keep=1", "checkpoints.keep_every=0", "checkpoints.keep_best=1"),
    *("data.num_threads=0", "data.prefetch=0", "data.resolution=16", "model.resolution=16"),
    *("average.decay=0", "guard.spike_window=1", "guard.on_spike=skip"),
    *("held_out.every=1", "held_out.num_images=1", "held_out.times=[0.0]"),
    *("model.backbone.depth=1", "model.backbone.long_skip=false", "model.backbone.num_heads=1"),
    *("model.adapter.num_blocks=1", "model.adapter.num_heads=1"),
    'model.text_encoders=[{"component":"hash","num_tokens":1,"width":16}]',
    'hardware.machines=[{"name":"one"}]',
)
"""The smallest value that every numeric option allows: one image of one patch, one caption of one token."""


def test_the_smallest_value_of_every_option_trains(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (1, 1), "red").save(folder / "a.png")
    (folder / "a.txt").write_text("star")
    source = json.dumps([{"component": "image_folder", "root": str(folder)}])
    workdir = tmp_path / "run"
    assert runs.run(workdir, *SMALLEST, f"data.sources={source}", f"held_out.sources={source}") == 1
    (row,) = runs.metrics(workdir)
    assert row["loss"] > 0
    assert row["held_out/loss"] > 0
    assert [path.name for path in (workdir / "checkpoints").iterdir()] == ["1"]
