"""Stopping a run, in any way, costs nothing: what goes on is bit for bit the uninterrupted run."""

import shutil
import signal
import time
from pathlib import Path

import pytest
import small_runs as runs
from i1_hooks import UserError
from i1_train.checkpoints import DamagedError, verify

KILL_AT_STEP_8 = """
import os, signal
from i1_train.metrics import Metrics
add = Metrics.add
def killing(self, step, *rest):
    add(self, step, *rest)
    if step == 8:
        os.kill(os.getpid(), signal.SIGKILL)
Metrics.add = killing
"""
KILL_IN_SECOND_CHECKPOINT = """
import os, signal
import i1_train.run
save_model = i1_train.run.save_model
def killing(folder, *args, metadata, **kwargs):
    save_model(folder, *args, metadata=metadata, **kwargs)
    if metadata["step"] == 10:
        os.kill(os.getpid(), signal.SIGKILL)
i1_train.run.save_model = killing
"""
SLOW = """
import time
from i1_train.metrics import Metrics
add = Metrics.add
def slow(self, step, *rest):
    add(self, step, *rest)
    if step > 2:
        time.sleep(0.3)
Metrics.add = slow
"""


@pytest.fixture(scope="module")
def straight(tmp_path_factory, compiled):
    """An uninterrupted run of 12 steps."""
    workdir = tmp_path_factory.mktemp("straight")
    assert runs.run(workdir) == 12
    return workdir


@pytest.fixture
def copy(straight, tmp_path):
    """A copy of the uninterrupted run, to damage."""
    return Path(shutil.copytree(straight, tmp_path / "copy"))


def test_a_straight_run_leaves_everything(straight):
    rows = runs.metrics(straight)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert set(rows[0]) == {"step", "loss", "grad_norm", "learning_rate", "images_per_second"}
    assert sorted(path.name for path in (straight / "checkpoints").iterdir()) == ["10", "12", "5"]
    names = {path.name for path in (straight / "checkpoints" / "12").iterdir()}
    assert names == {"state", "model", "run.json", "config.json", "manifest.json"}


@pytest.mark.parametrize("before", [KILL_AT_STEP_8, KILL_IN_SECOND_CHECKPOINT], ids=["step", "checkpoint"])
def test_killed_and_gone_on_with(straight, tmp_path, compiled, before):
    status, _, _ = runs.start(tmp_path / "run", compiled, before=before)
    assert status == -signal.SIGKILL
    assert runs.run(tmp_path / "run") == 12
    runs.assert_same_run(straight, tmp_path / "run")
    left = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert left == ["10", "12", "5"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_before_leaving(straight, tmp_path, compiled, number):
    workdir = tmp_path / "run"
    process = runs.start(workdir, compiled, before=SLOW, wait=False)
    deadline = time.monotonic() + 300
    while not (workdir / "metrics.jsonl").exists() or len(runs.metrics(workdir)) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert f"{number.name} at step" in err
    assert f"go on with: i1 train scenes-tiny --workdir {workdir} --set steps=12" in err
    assert "Traceback" not in err
    step = max(int(path.name) for path in (workdir / "checkpoints").iterdir())
    assert len(runs.metrics(workdir)) == step < 12
    assert runs.run(workdir) == 12
    runs.assert_same_run(straight, workdir)


def test_a_finished_run_stays_as_it_is(copy, straight):
    assert runs.run(copy) == 12
    assert (copy / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()


def test_a_longer_run_goes_on(copy):
    assert runs.run(copy, "steps=13", "checkpoint_every=3", 'loggers=["jsonl","tensorboard"]') == 13
    assert [row["step"] for row in runs.metrics(copy)] == list(range(1, 14))


def damage(path: Path, how: str):
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flip":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        path.unlink()


def test_a_damaged_checkpoint_falls_back_to_the_one_before(copy, straight, capsys):
    damage(largest(copy / "checkpoints" / "12" / "state"), "cut")
    assert runs.run(copy) == 12
    warning = capsys.readouterr().err
    assert f"warning: checkpoint {copy / 'checkpoints' / '12'} is damaged" in warning
    assert "going on from step 10" in warning
    assert warning.count("\n") == 1
    runs.assert_same_run(straight, copy)
    assert (copy / "checkpoints" / "12.damaged").is_dir()


@pytest.mark.parametrize(
    ("how", "message"), [("cut", "has .* bytes"), ("flip", "other content"), ("remove", "is missing")]
)
def test_every_damage_is_seen(copy, how, message):
    folder = copy / "checkpoints" / "12"
    verify(folder)
    damage(largest(folder / "state"), how)
    with pytest.raises(DamagedError, match=message):
        verify(folder)


def test_no_good_checkpoint_left_is_an_error_that_changes_nothing(copy):
    for step in (5, 10, 12):
        damage(copy / "checkpoints" / str(step) / "manifest.json", "cut")
    before = sorted(copy.rglob("*"))
    with pytest.raises(
        UserError, match=r"no checkpoint can be read: .*12 is damaged.*10 is damaged.*5 is damaged"
    ):
        runs.run(copy)
    assert sorted(copy.rglob("*")) == before
    assert len(runs.metrics(copy)) == 12


def largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize(
    ("assignment", "shown"),
    [
        ("seed=5", "seed: 0 -> 5"),
        ("model.backbone.qk_norm=false", "model.backbone.qk_norm: true -> false"),
        ("optimizer=muon", 'optimizer.component: "adam" -> "muon"'),
    ],
)
def test_another_run_is_refused_with_the_difference(copy, straight, assignment, shown):
    with pytest.raises(UserError, match="holds another run") as error:
        runs.run(copy, assignment)
    assert shown in str(error.value)
    assert (copy / "config.json").read_bytes() == (straight / "config.json").read_bytes()
    runs.assert_same_run(straight, copy)


def test_checkpoints_without_a_config_are_not_overwritten(copy):
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"holds checkpoints but no config\.json; copy it back"):
        runs.run(copy)


def test_a_broken_line_of_metrics_is_cut_off(copy, straight):
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "lo')
    runs.run(copy)
    runs.assert_same_run(straight, copy)


def test_threads_and_prefetching_change_nothing(straight, tmp_path):
    assert runs.run(tmp_path, "data.num_threads=2", "data.prefetch=3") == 12
    runs.assert_same_run(straight, tmp_path)
