import os
import subprocess
import sys

import jax
from i1_model.ops.devices import find_devices

CODE = (
    "from i1_hooks import UserError\n"
    "from i1_model.ops.devices import find_devices\n"
    "try:\n    find_devices()\n"
    "except UserError as error:\n    print(error)\n"
)


def test_devices_are_those_of_jax():
    assert find_devices() == jax.devices()


def test_a_platform_that_is_not_there_is_named():
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "JAX_PLATFORMS": "cuda"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("JAX_PLATFORMS=cuda: jax cannot use it (")
    assert "or unset JAX_PLATFORMS" in done.stdout
    assert done.stdout.count("\n") == 1
