"""Stopping a run in any way costs nothing: the resumed run is bit for bit the uninterrupted one."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import small_runs as runs
from i1_hooks import UserError
from i1_train.checkpoints.manifest import DamagedError, verify

KILL = """
import os, signal, threading
import i1_train.checkpoints.manager as checkpoints, i1_train.run as run
from i1_train.monitoring.metrics import Metrics

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def kill_after(owner, name, is_wanted):
    function = getattr(owner, name)
    def killing(*arguments, **named):
        result = function(*arguments, **named)
        if is_wanted(*arguments, **named):
            die()
        return result
    setattr(owner, name, killing)

place, step = {place!r}, {step}
if place == "step":
    kill_after(Metrics, "add", lambda self, number, *rest, **named: number == step)
elif place == "copied":
    kill_after(checkpoints.Checkpoints, "begin", lambda self, number, *rest: number == step)
elif place == "model":
    kill_after(run, "write_model", lambda *arguments: arguments[-1]["step"] == step)
elif place == "manifest":
    kill_after(checkpoints, "write_manifest", lambda folder, *_: folder.name.endswith(f"-{{step}}"))
elif place == "renamed":
    kill_after(checkpoints, "replace_folder", lambda source, target: target.name == str(step))
else:
    add = Metrics.add
    def starting(self, number, *rest, **named):
        threading.Timer({seconds}, die).start()
        Metrics.add = add
        add(self, number, *rest, **named)
    Metrics.add = starting
"""
IN_A_WRITE = ("copied", "model", "manifest", "renamed")


def random_kill(seed, places):
    """Returns code that kills the process: at a step, in a part of a checkpoint's write, or at any time."""
    rng = random.Random(seed)
    place = rng.choice(places)
    step = rng.choice((5, 10, 12)) if place in IN_A_WRITE else rng.randrange(1, 13)
    return KILL.format(place=place, step=step, seconds=rng.uniform(0, 1.5))


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
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
    assert list(rows[0])[:2] == ["step", "loss"]
    by_time = {name for row in rows for name in row if name.startswith("loss_by_time/")}
    assert len(by_time) == 4
    assert set(rows[1]) - set(rows[0]) - by_time == {"images_per_second", "data_wait"}
    assert set(rows[1]) - by_time == {
        *("step", "loss", "grad_norm", "learning_rate", "norm/parameters", "norm/update", "ema/drift"),
        *("images_per_second", "data_wait", "memory/host"),
    }
    assert (straight / "report.html").is_file()
    assert sorted(path.name for path in (straight / "checkpoints").iterdir()) == ["10", "12", "5"]
    names = {path.name for path in (straight / "checkpoints" / "12").iterdir()}
    assert names == {"state", "model", "run.json", "config.json", "manifest.json"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_and_gone_on_with(straight, tmp_path, seed):
    places = ("step",) if seed == 1 else IN_A_WRITE
    status, _, err = runs.start(tmp_path / "run", before=random_kill(seed, places))
    assert status == -signal.SIGKILL, err
    assert runs.run(tmp_path / "run") == 12
    runs.assert_same_run(straight, tmp_path / "run")
    left = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert left == ["10", "12", "5"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_many_times(straight, tmp_path):
    kills, seed, finished = 0, 100, 0
    while kills < 24:
        workdir = tmp_path / f"run{finished}"
        code = random_kill(seed, ("step", *IN_A_WRITE, "any time", "any time"))
        status, _, err = runs.start(workdir, before=code)
        assert status in (0, -signal.SIGKILL), err
        seed += 1
        kills += status != 0
        if status == 0:
            runs.assert_same_run(straight, workdir)
            finished += 1
    assert runs.run(workdir) == 12
    runs.assert_same_run(straight, workdir)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_save_before_leaving(straight, tmp_path, number):
    workdir = tmp_path / "run"
    process = runs.start(workdir, before=runs.SLOW, wait=False)
    deadline = time.monotonic() + 300
    while not (workdir / "metrics.jsonl").exists() or len(runs.metrics(workdir)) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert f"{number.name} at step" in err
    assert f"resume with: i1 train scenes-tiny --workdir {workdir} --set steps=12" in err
    assert "Traceback" not in err
    step = max(int(path.name) for path in (workdir / "checkpoints").iterdir())
    assert step <= len(runs.metrics(workdir)) < 12
    assert runs.run(workdir) == 12
    runs.assert_same_run(straight, workdir)


def test_a_finished_run_stays_as_it_is(copy, straight):
    assert runs.run(copy) == 12
    assert (copy / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()


def test_a_longer_run_goes_on(copy):
    assert runs.run(copy, "steps=13", "checkpoints.every=3", 'loggers=["jsonl","tensorboard"]') == 13
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
    assert "resuming from step 10" in warning
    assert warning.count("\n") == 1
    runs.assert_same_run(straight, copy)
    assert (copy / "checkpoints" / "12.damaged").is_dir()


@pytest.mark.parametrize(
    ("how", "message"),
    [("cut", "has .* bytes"), ("flip", "differs from what was written"), ("remove", "is missing")],
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
