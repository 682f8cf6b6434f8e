"""Checkpoints by themselves: written in the background, whole or absent, and only those that are wanted."""

import json
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.checkpoints.manager import Checkpoints
from i1_train.checkpoints.manifest import MANIFEST, DamagedError, verify, write_manifest

SHAPES = {"weights": (64, 32), "step": ()}
overwrite = jax.jit(lambda state: jax.tree.map(lambda x: x * 0 - 1, state), donate_argnums=0)


def state(value):
    return {name: jnp.full(shape, value, jnp.float32) for name, shape in SHAPES.items()}


def template():
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32, sharding=device) for name, shape in SHAPES.items()}


def save(checkpoints, step, score=None):
    checkpoints.begin(step, state(step), {"score": score})
    checkpoints.wait()


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path):
    held, started = threading.Event(), threading.Event()

    def slow(folder):
        started.set()
        assert held.wait(60)

    with Checkpoints(tmp_path, Checkpointing()) as checkpoints:
        first = state(7.0)
        checkpoints.begin(1, first, {}, slow)
        overwrite(first)  # the next step donates the state
        assert started.wait(60)
        assert checkpoints.finished() == []
        assert checkpoints.steps() == []
        held.set()
        checkpoints.wait()
        assert checkpoints.finished() == [tmp_path / "checkpoints" / "1"]
        assert checkpoints.finished() == []
        restored = checkpoints.restore(template())
    np.testing.assert_array_equal(restored.state["weights"], np.full((64, 32), 7.0, np.float32))


def test_one_at_a_time(tmp_path):
    held, order = threading.Event(), []

    def slow(folder):
        held.wait(60)
        order.append("first written")

    with Checkpoints(tmp_path, Checkpointing()) as checkpoints:
        checkpoints.begin(1, state(1), {}, slow)
        threading.Timer(0.2, held.set).start()
        checkpoints.begin(2, state(2), {})
        order.append("second begun")
        assert checkpoints.steps()[0] == 1
    assert order == ["first written", "second begun"]
    assert checkpoints.steps() == [1, 2]


def test_an_error_of_the_background_reaches_the_run(tmp_path):
    def full(folder):
        raise OSError(28, "No space left on device")

    with Checkpoints(tmp_path, Checkpointing()) as checkpoints:
        save(checkpoints, 1)
        checkpoints.begin(2, state(2), {}, full)
        with pytest.raises(UserError, match=r"cannot write .*2: No space left .* last good .* is .*1;"):
            checkpoints.wait()
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["1"]


def test_a_failed_write_does_not_hide_what_ended_the_run(tmp_path, capsys):
    def full(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(ZeroDivisionError), Checkpoints(tmp_path, Checkpointing()) as checkpoints:  # noqa: PT012
        checkpoints.begin(2, state(2), {}, full)
        raise ZeroDivisionError
    assert "warning: cannot write checkpoint" in capsys.readouterr().err


def test_too_little_room_is_seen_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with (
        pytest.raises(UserError, match=r"MiB needed, 0 MiB free; there is no earlier checkpoint; free space"),
        Checkpoints(tmp_path, Checkpointing(keep=1)) as checkpoints,
    ):
        checkpoints.begin(1, state(1), {})
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_the_best_stay(tmp_path):
    scores = {1: 0.5, 2: 0.1, 3: 0.4, 4: None, 5: 0.3, 6: 0.9}
    with Checkpoints(tmp_path, Checkpointing(keep=1, keep_best=2, keep_every=4)) as checkpoints:
        for step, score in scores.items():
            save(checkpoints, step, score)
        assert checkpoints.steps() == [2, 4, 5, 6]


@pytest.fixture
def folder(tmp_path):
    for name in "abcde":
        (tmp_path / name).write_text(name * 10)
    for process in range(2):
        write_manifest(tmp_path, process, 2)
    return tmp_path


def test_every_host_lists_its_share(folder):
    listed = [set(json.loads(path.read_text())["files"]) for path in sorted(folder.glob("manifest*"))]
    assert sorted(listed, key=len) == [{"b", "d"}, {"a", "c", "e"}]


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_any_number_of_hosts_verifies_it(folder, hosts):
    for host in range(hosts):
        verify(folder, host, hosts)
    (folder / "d").write_text("x" * 10)
    with pytest.raises(DamagedError, match="d differs from what was written"):  # noqa: PT012
        for host in range(hosts):
            verify(folder, host, hosts)


def test_the_manifest_of_every_host_must_be_there(folder):
    (folder / "manifest.1.json").unlink()
    with pytest.raises(DamagedError, match=r"manifest\.1\.json is missing"):
        verify(folder)
    assert (folder / MANIFEST).is_file()
