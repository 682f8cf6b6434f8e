"""Checks one package in an environment that holds nothing but the package and what it depends on.

    uv run --isolated --package i1-sample --no-dev python .ci/alone.py i1-sample

Its plugin loads, the code of each of its components and every module can be imported, save those that need an
extra, and afterwards nothing is imported that the package must do without. i1-sample also makes a picture.
"""

import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

TRAINING = {"grain", "optax", "orbax", "torch", "tensorstore", "i1_train", "i1_data"}
FORBIDDEN = {
    "i1-hooks": {"jax", "flax", "numpy", "PIL"},
    "i1-scenes": {"jax", "flax", "scipy", "torch", "i1_hooks"},
    "i1-data": {"jax", "flax", "torch", "i1_model"},
    "i1-bench": {"jax", "flax", "torch", "i1_model", "i1_data", "i1_train"},
    "i1-model": TRAINING,
    "i1-sample": TRAINING,
    "i1-server": TRAINING,
    "i1-train": {"torch", "i1_sample", "i1_bench"},
}


def main(distribution: str) -> None:
    """Runs the checks; raises on the first that fails."""
    package = importlib.import_module(distribution.replace("-", "_"))
    is_plugin = bool(importlib.metadata.distribution(distribution).entry_points.select(group="i1"))
    absent = load_components(distribution) if is_plugin else set()
    modules = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] not in absent:
                raise
            print(f"{module} needs the extra of {error.name}")
    print(f"{distribution}: {len(modules)} modules imported")
    if is_plugin:
        run_commands(distribution)
    imported = {name.partition(".")[0] for name in sys.modules}
    found = FORBIDDEN.get(distribution, set()) & (imported - imported_by_flax(distribution))
    assert not found, f"{distribution} imports {sorted(found)}"


def load_components(distribution: str) -> set[str]:
    """Loads every component of the package; returns the modules of extras that are not installed."""
    from i1_hooks import get_registry
    from i1_hooks.hookspecs import KINDS
    from i1_hooks.machine import extras

    registry = get_registry()
    assert not registry.failures, registry.failures
    assert distribution in registry.installed(), f"{distribution} registers no plugin"
    for kind in KINDS:
        for name, found in registry.components(kind).items():
            if found.distribution == distribution:
                registry.load(kind, name)
    return {name.replace("-", "_") for extra in extras() for name in extra["missing"]}


def run_commands(distribution: str) -> None:
    """Runs `i1 plugins`, and for i1-sample makes a picture."""
    from i1_hooks import cli

    assert cli.main(["plugins"]) == 0
    if distribution == "i1-sample":
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "picture.png"
            assert cli.main(["sample", "a red circle", "--steps", "2", "--output", str(picture)]) == 0
            assert picture.stat().st_size > 0


def imported_by_flax(distribution: str) -> set[str]:
    """Returns the packages that flax imports by itself: it needs some that i1 does without."""
    if distribution not in ("i1-model", "i1-sample", "i1-server"):
        return set()
    code = "import sys, flax.nnx; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


if __name__ == "__main__":
    main(sys.argv[1])
