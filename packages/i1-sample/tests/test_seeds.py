"""The noise of image k depends on (seed, k) alone: not on the batch, nor on the number of devices."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from i1_sample.programs import Programs
from i1_sample.solvers.one_step import Euler
from i1_sample.testing.models import TINY

SPREAD = """
import sys
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from i1_sample.programs import Programs
from i1_sample.solvers.one_step import Euler
from i1_sample.testing.models import TINY
assert jax.device_count() == 4
indices = jax.device_put(
    np.arange(8, dtype=np.uint32), NamedSharding(Mesh(np.array(jax.devices()), "data"), PartitionSpec("data"))
)
noise, _ = Programs(TINY).start(np.uint32(7), indices, Euler())
assert len(noise.sharding.device_set) == 4
np.save(sys.argv[1], noise)
"""


def noise(first: int, count: int) -> np.ndarray:
    indices = np.arange(first, first + count, dtype=np.uint32)
    return np.asarray(Programs(TINY).start(np.uint32(7), indices, Euler())[0])


@pytest.fixture(scope="module")
def alone() -> np.ndarray:
    key = jax.random.key(7)
    return np.stack([jax.random.normal(jax.random.fold_in(key, k), (4, 4, 48)) for k in range(8)])


@pytest.mark.parametrize("size", [1, 3, 8])
def test_any_batch(alone: np.ndarray, size: int) -> None:
    for first in range(0, 9 - size, size):
        np.testing.assert_array_equal(noise(first, size), alone[first : first + size])


def test_four_devices(alone: np.ndarray, tmp_path) -> None:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4",
    }
    subprocess.run([sys.executable, "-c", SPREAD, str(tmp_path / "noise.npy")], check=True, env=environment)
    np.testing.assert_array_equal(np.load(tmp_path / "noise.npy"), alone)
