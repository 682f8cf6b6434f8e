"""Small runs for tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from i1_train.loop import train
from i1_train.monitoring.metrics import MEASURED_HERE
from i1_train.recipes import load_recipe

SETTINGS = (
    "steps=12",
    "checkpoints.every=5",
    "checkpoints.keep=3",
    'loggers=["jsonl"]',
    "preview_prompts=[]",
    "data.num_threads=0",
    "data.sources.0.num_records=40",
)


def recipe(*assignments):
    return load_recipe("scenes-tiny", [*SETTINGS, *assignments])


def run(workdir, *assignments):
    return train(recipe(*assignments), workdir)


SLOW = """
import time
from i1_train.monitoring.metrics import Metrics
add = Metrics.add
def slow(self, step, *rest, **named):
    add(self, step, *rest, **named)
    if step > 2:
        time.sleep(0.3)
Metrics.add = slow
"""


def start(workdir, *assignments, before="", wait=True, flags=(), devices=1):
    """Runs `i1 train` in a process of its own with fake devices, after the Python code `before`."""
    settings = [flag for assignment in (*SETTINGS, *assignments) for flag in ("--set", assignment)]
    code = f"{before}\nimport sys\nfrom i1_hooks.cli import main\nsys.exit(main(sys.argv[1:]))"
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code, "train", "scenes-tiny", "--workdir", str(workdir), *settings, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if not wait:
        return process
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def numbers(workdir):
    """Returns what must be equal between two runs: every metric but those of the machine."""
    return [
        {name: value for name, value in row.items() if name not in MEASURED_HERE} for row in metrics(workdir)
    ]


def arrays(workdir, step):
    """Returns the saved state of a step as a dict of arrays by name."""
    import jax
    import orbax.checkpoint as ocp

    folder = workdir / "checkpoints" / str(step) / "state"
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        template = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=jax.sharding.SingleDeviceSharding(jax.devices()[0])
            ),
            checkpointer.metadata(folder.absolute()).item_metadata.tree,
        )
        state = checkpointer.restore(folder.absolute(), args=ocp.args.StandardRestore(template))
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def assert_same_state(one: Path, other: Path, step: int):
    first, second = arrays(one, step), arrays(other, step)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def assert_same_run(one: Path, other: Path, step: int = 12):
    assert [row["step"] for row in metrics(other)] == list(range(1, step + 1))
    assert numbers(one) == numbers(other)
    assert_same_state(one, other, step)
