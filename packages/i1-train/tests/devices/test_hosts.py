"""Many hosts, played by local processes: they find each other, do what one does, and fail together."""

import argparse
import json
import re
import shutil
import signal
import socket
import time
from types import SimpleNamespace

import numpy as np
import pytest
import small_runs as runs
from i1_hooks import UserError
from i1_train.devices import agreement, hosts
from i1_train.devices.hosts import Cluster, add_flags, find_cluster
from i1_train.devices.placement import Placement

SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "16",
}
NAMED = {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"}
SKIP = ("guard.on_spike=skip", "guard.spike_factor=1.02", "guard.spike_window=2")  # some of the 12 steps
BOX = ("batch_size=8", "hardware.machine=box", *SKIP)
EIGHT = (*BOX, 'hardware.machines=[{"name":"box","data":2,"fsdp":4}]')
DIVIDED = (*BOX, 'hardware.machines=[{"name":"box","fsdp":2,"context":2,"tensor":2}]')
DIE = """
import os, signal, time
from i1_train.monitoring.metrics import Metrics
add = Metrics.add
def dying(self, step, *rest, **named):
    if step == 8:
        while not os.path.exists({checkpoint!r}):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, step, *rest, **named)
Metrics.add = dying
"""
TOLERANCE = 1e-4
"""Relative, of the losses of 12 steps: hosts add in another order."""


def meeting(*flags, environment=None):
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return find_cluster(parser.parse_args(flags), environment or {})


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ((), {}, None),
        ((), SLURM, Cluster()),
        ((), {**SLURM, "SLURM_NTASKS": "1"}, None),
        ((), {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "16"}, None),  # the batch script itself, without srun
        ((), {"OMPI_COMM_WORLD_SIZE": "4"}, Cluster()),
        ((), {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3"}, None),
        ((), NAMED, Cluster(coordinator="a:1", num_processes=2, process_id=1)),
        ((), {"JAX_COORDINATOR_ADDRESS": "a:1"}, None),
        (("--distributed", "on"), {}, Cluster()),
        (("--distributed", "off"), SLURM, None),
        (("--process-id", "0"), NAMED, Cluster(coordinator="a:1", num_processes=2, process_id=0)),
    ],
)
def test_when_there_are_others(flags, environment, expected, monkeypatch):
    monkeypatch.setattr(hosts, "_on_tpu", lambda: False)
    assert meeting(*flags, environment=environment) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Cluster()),  # the metadata of the cloud say how many hosts there are, perhaps one
        ({"JAX_PLATFORMS": "tpu,cpu"}, Cluster()),
        ({"JAX_PLATFORMS": "cpu"}, None),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, Cluster()),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        ({"TPU_WORKER_HOSTNAMES": "localhost", "MEGASCALE_NUM_SLICES": "2"}, Cluster()),
        ({"TPU_SKIP_MDS_QUERY": "1"}, None),
    ],
)
def test_on_tpus(environment, expected, monkeypatch):
    monkeypatch.setattr(hosts, "_on_tpu", lambda: True)
    assert meeting(environment=environment) == expected


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (("--coordinator", "a:1"), {}, "--num-processes and --process-id missing"),
        (("--coordinator", "a", "--num-processes", "2", "--process-id", "0"), {}, "HOST:PORT, got 'a'"),
        (("--coordinator", "a:1", "--num-processes", "2", "--process-id", "2"), {}, r"in 0\.\.1 .*, got 2"),
        (("--distributed", "off", "--process-id", "0"), {}, "off and --process-id exclude each other"),
        ((), {**NAMED, "JAX_PROCESS_ID": "x"}, "JAX_PROCESS_ID must be a whole number, got 'x'"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(flags, environment, message):
    with pytest.raises(UserError, match=message):
        meeting(*flags, environment=environment)


class Store:
    """The key-value store of two hosts; `later` holds what the other writes after the nth look."""

    num_processes = 2
    process_id = 0

    def __init__(self, later):
        self.client, self.later, self.kept, self.looks = self, later, {}, 0

    def key_value_set(self, key, value):
        self.kept[key] = value

    def key_value_dir_get(self, place):
        found = [(key, value) for key, value in self.kept.items() if key.startswith(place)]
        self.looks += 1
        self.kept.update(self.later.get(self.looks, {}))
        return found


def test_a_host_that_fails_over_what_it_read_has_given_its_value(monkeypatch):
    value, failed = {"i1/exchange/race/1/1": "b"}, {f"{agreement.FAILED}1": "they differ"}
    monkeypatch.setattr(agreement, "_cluster_of_many", lambda: Store({1: value | failed}))
    assert agreement.exchange("race", "a") == ["a", "b"]


def test_a_host_that_fails_before_it_gives_its_value_ends_the_wait(monkeypatch):
    monkeypatch.setattr(
        agreement, "_cluster_of_many", lambda: Store({3: {f"{agreement.FAILED}1": "no space left"}})
    )
    with pytest.raises(UserError, match="host 1: no space left"):
        agreement.exchange("end", "a")


def test_what_fails_on_one_host_fails_on_all(monkeypatch):
    monkeypatch.setattr(agreement, "exchange", lambda name, value: [value, "no space left"])
    with pytest.raises(UserError, match="host 1: no space left"), agreement.fail_together("writing"):
        pass
    with pytest.raises(OSError, match="own"), agreement.fail_together("writing"):
        raise OSError("own")


def test_the_first_difference_between_hosts_is_named(monkeypatch):
    other = '{"recipe": "a", "seed": 1, "steps": 5}'
    monkeypatch.setattr(
        agreement, "exchange", lambda name, value: [value, "x" if name.startswith("digest") else other]
    )
    with pytest.raises(
        UserError, match="host 1 has another recipe than host 0: seed: 0 -> 1 and 1 more; start"
    ):
        agreement.check_same_on_all_hosts("recipe", {"recipe": "a", "seed": 0, "steps": 4})
    monkeypatch.setattr(agreement, "exchange", lambda name, value: [value, value])
    agreement.check_same_on_all_hosts("recipe", {"recipe": "a"})


def test_a_host_reads_the_rows_of_its_devices():
    parts = {"one": (slice(4, 6),), "two": (slice(0, 2),), "copy": (slice(4, 6),)}
    sharding = SimpleNamespace(addressable_devices_indices_map=lambda shape: parts)
    place = dict.fromkeys(("mesh", "state", "constants", "scalar"))
    assert Placement(**place, batch=sharding, batch_size=8).rows == (0, 1, 4, 5)


def start(workdir, count, *assignments, before=None, own=None):
    """Starts the processes of a run on eight devices in all; code `before` and `own` settings by process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        runs.start(
            workdir,
            *assignments,
            *(own or {}).get(index, ()),
            before=(before or {}).get(index, ""),
            wait=False,
            devices=8 // count,
            flags=[
                *("--coordinator", f"127.0.0.1:{port}"),
                *("--num-processes", str(count), "--process-id", str(index)),
            ],
        )
        for index in range(count)
    ]


def ends(processes):
    """Waits for all; returns their statuses and error outputs."""
    outputs = [process.communicate(timeout=3000)[1] for process in processes]
    return [process.returncode for process in processes], outputs


def losses(workdir):
    rows = runs.metrics(workdir)
    assert [row["step"] for row in rows] == list(range(1, 13))
    return [row["loss"] for row in rows]


def steps_and_keys(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows
    return {row["step"]: row["key"] for row in rows}


def test_hosts_with_different_recipes_end_before_anything_is_compiled(tmp_path):
    statuses, errors = ends(start(tmp_path / "run", 2, *EIGHT, own={1: ("seed=1",)}))
    assert statuses == [2, 2], errors
    for error in errors:
        assert error.startswith("i1: error: host 1 has another recipe than host 0: seed: 0 -> 1; start every")
        assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """An uninterrupted run of one process with eight devices."""
    workdir = tmp_path_factory.mktemp("straight")
    statuses, errors = ends(start(workdir, 1, *EIGHT))
    assert statuses == [0], errors
    return workdir


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("mesh", [EIGHT, DIVIDED], ids=["batch", "tokens and heads"])
def test_losses_are_those_of_one_process(straight, tmp_path, count, mesh):
    statuses, errors = ends(start(tmp_path, count, *mesh))
    assert statuses == [0] * count, errors
    np.testing.assert_allclose(losses(tmp_path), losses(straight), rtol=TOLERANCE)
    own = [f"skipped_batches.{host}.jsonl" for host in range(1, count)]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in straight.iterdir()} | set(own)
    skipped = [steps_and_keys(tmp_path / name) for name in ("skipped_batches.jsonl", *own)]
    for step, keys in steps_and_keys(straight / "skipped_batches.jsonl").items():
        parts = [of_host[step] for of_host in skipped]
        assert [key for part in parts[:: 1 if mesh == EIGHT else count // 2] for key in part] == keys
    folder = tmp_path / "checkpoints" / "12"
    manifests = {f"manifest.{host}.json" for host in range(1, count)}
    expected = {"state", "model", "run.json", "config.json", "manifest.json", *manifests}
    assert {path.name for path in folder.iterdir()} == expected


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 4), (4, 2)])
def test_killed_and_gone_on_with_on_another_number_of_hosts(straight, tmp_path, before, after):
    victim = before - 1
    die = DIE.format(checkpoint=str(tmp_path / "checkpoints" / "5"))
    processes = start(tmp_path, before, *EIGHT, before={victim: die})
    statuses, errors = ends(processes)
    assert statuses[victim] == -signal.SIGKILL, errors
    assert all(status != 0 for status in statuses), errors  # the others notice
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["5"]
    statuses, errors = ends(start(tmp_path, after, *EIGHT))
    assert statuses == [0] * after, errors
    np.testing.assert_allclose(losses(tmp_path), losses(straight), rtol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_signal_to_one_host_stops_all_after_the_same_step(straight, tmp_path):
    slow = runs.SLOW.replace("0.3", "1.0")  # jax looks for signals every second
    processes = start(tmp_path, 2, *EIGHT, before={0: slow, 1: slow})
    while not (tmp_path / "metrics.jsonl").exists() or len(runs.metrics(tmp_path)) < 3:
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    statuses, errors = ends(processes)
    assert statuses == [1, 1], errors
    step = max(int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    assert re.search(rf"SIGTERM at step \d+: saved to .*/{step};", errors[0]), errors
    assert step <= len(runs.metrics(tmp_path)) < 12
    statuses, errors = ends(start(tmp_path, 2, *EIGHT))
    assert statuses == [0, 0], errors
    np.testing.assert_allclose(losses(tmp_path), losses(straight), rtol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_fails_before_the_first_step_ends_all_hosts(straight, tmp_path):
    three = 'hardware.machines=[{"name":"box","data":3}]'
    statuses, errors = ends(start(tmp_path, 2, *BOX, three))
    assert statuses == [2, 2]
    assert all("machine 'box' has 3 devices" in error and error.count("\n") == 1 for error in errors), errors
    copy = shutil.copytree(straight, tmp_path / "copy")
    (copy / "config.json").unlink()
    statuses, errors = ends(start(copy, 2, *EIGHT))
    assert statuses == [2, 2]
    assert all("holds checkpoints but no config.json" in error for error in errors), errors
