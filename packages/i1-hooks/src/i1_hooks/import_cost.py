"""What a plugin imports when it is registered, measured in a Python of its own.

`python -m i1_hooks.import_cost PLUGIN DISTRIBUTION` prints one measurement as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TypedDict

from i1_hooks.discovery import installed_plugins
from i1_hooks.registry import Registry

HEAVY = (
    *("jax", "flax", "optax", "orbax", "grain", "numpy", "scipy", "PIL", "pandas", "pyarrow", "sklearn"),
    *("torch", "torchvision", "tensorflow", "transformers", "diffusers", "tokenizers", "safetensors"),
    *("cv2", "matplotlib", "rich", "wandb", "mlflow", "trackio"),
)
"""Packages that registering a plugin must not import, since every `i1` command would wait for them."""


class ImportCost(TypedDict):
    """What registering one plugin costs.

    Attributes:
        plugin: its name.
        distribution: the distribution that offers it.
        seconds: wall time of importing the plugin and collecting its components.
        heavy: the heavy packages that it imports.
    """

    plugin: str
    distribution: str
    seconds: float
    heavy: list[str]


def import_cost(plugin: str, distribution: str) -> ImportCost | None:
    """Measures an installed plugin in a subprocess; `None` when it cannot be loaded."""
    command = [sys.executable, "-m", "i1_hooks.import_cost", plugin, distribution]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    measured = json.loads(done.stdout.splitlines()[-1])
    return {
        "plugin": plugin,
        "distribution": distribution,
        "seconds": measured["seconds"],
        "heavy": measured["heavy"],
    }


def imported_packages(names: tuple[str, ...] = HEAVY) -> list[str]:
    """Returns which of the named packages this process has imported."""
    loaded = {module.partition(".")[0] for module in sys.modules}
    return sorted(loaded.intersection(names))


def _main(plugin: str, distribution: str) -> None:
    (source,) = (source for source in installed_plugins() if source[:2] == (plugin, distribution))
    before = imported_packages()
    start = time.perf_counter()
    Registry([source], strict=True)
    seconds = time.perf_counter() - start
    heavy = [name for name in imported_packages() if name not in before]
    print(json.dumps({"seconds": round(seconds, 3), "heavy": heavy}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
