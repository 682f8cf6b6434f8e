"""Compares what two checkouts compute, bit for bit: `python tests/compare_checkouts.py OLD NEW`.

Each checkout runs its own commands in its own environment: 20 steps of `scenes-tiny`, three pictures, and
the tests marked `golden`. One line is printed for each thing compared; the exit status is 1 when anything
differs. What is missing on one side, or fails on both, counts as a difference.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

STEPS = 20
SEEDS = (0, 1, 2)
PROMPT = "a red circle above a blue square"
OF_THE_MACHINE = ("images_per_second", "data_wait", "utilisation", "memory/host", "memory/device")
"""Metrics whose values differ between two runs of the same code; only their presence is compared."""
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pillow")
ABSENT = "absent"

Findings = Mapping[str, Any]
"""What one checkout computed, by the name of the thing; a `Failed` where it could not."""


class Failed(str):
    """Why a thing could not be computed, in one line; it is equal to nothing, not even to another failure."""

    __slots__ = ()


def main(argv: Sequence[str] | None = None) -> int:
    """Compares two checkouts and prints the result.

    Returns:
        0 when everything is equal, 1 when anything differs.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", metavar="OLD", type=Path, help="a checkout")
    parser.add_argument("new", metavar="NEW", type=Path, help="another checkout")
    parser.add_argument(
        "--model", help="the model that draws; give one when the embedded model itself differs (default: it)"
    )
    arguments = parser.parse_args(argv)
    environment = common_environment(os.environ)
    print(f"XLA_FLAGS on both sides: {environment['XLA_FLAGS'] or '(none)'}", flush=True)
    model = arguments.model
    if model is not None and Path(model).exists():
        model = str(Path(model).resolve())  # the commands run in folders of their own
    with tempfile.TemporaryDirectory(prefix="i1-compared-") as folder:
        sides = [
            examine(checkout.resolve(), Path(folder) / name, environment, model)
            for name, checkout in (("old", arguments.old), ("new", arguments.new))
        ]
    differs = False
    for name, difference in compare(*sides):
        differs |= difference is not None
        print(f"{name}: {'equal' if difference is None else 'DIFFERS: ' + difference}", flush=True)
    return int(differs)


def common_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that both checkouts run with: the same flags, and no other Python environment."""
    kept = {k: v for k, v in environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    # XLA_FLAGS is set even when empty, so that no `conftest.py` chooses flags for its own checkout.
    return {**kept, "XLA_FLAGS": environ.get("XLA_FLAGS", ""), "JAX_PLATFORMS": "cpu"}


def compare(old: Findings, new: Findings) -> Iterator[tuple[str, str | None]]:
    """Yields the name of every thing and how it differs first, None where it is equal."""
    for name in dict.fromkeys((*old, *new)):
        yield name, first_difference(old.get(name, ABSENT), new.get(name, ABSENT))


def first_difference(old: Any, new: Any, path: str = "") -> str | None:
    """Returns where two values differ first, and how; None for equal ones.

    Mappings and lists are compared member by member, numbers with their type, bytes bit by bit.
    """
    where = f"{path}: " if path else ""
    if isinstance(old, Failed) or isinstance(new, Failed):
        return f"{where}{_shown(old)} -> {_shown(new)}"
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{path} {key}".strip()
            if difference := first_difference(old.get(key, ABSENT), new.get(key, ABSENT), inner):
                return difference
        return None
    if isinstance(old, list) and isinstance(new, list):
        for index, (a, b) in enumerate(zip(old, new, strict=False)):
            if difference := first_difference(a, b, f"{path}[{index}]"):
                return difference
        return None if len(old) == len(new) else f"{where}{len(old)} entries -> {len(new)}"
    if type(old) is type(new) and old == new:
        return None
    if isinstance(old, bytes) and isinstance(new, bytes) and len(old) == len(new):
        places = [index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        return f"{where}{len(places)} of {len(old)} bytes, first at {places[0]}"
    return f"{where}{_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if isinstance(value, Failed):
        return f"failed ({value})"
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def examine(checkout: Path, folder: Path, environment: Mapping[str, str], model: str | None) -> Findings:
    """Returns what a checkout computes.

    Args:
        checkout: the root of the repository.
        folder: for the files that it writes.
        environment: of its commands.
        model: the model that draws; None for the embedded one.
    """
    python = checkout / ".venv" / "bin" / "python"
    command = str(python.with_name("i1"))
    print(f"{checkout}: computing", flush=True)
    folder.mkdir(parents=True)
    found: dict[str, Any] = {"libraries": _attempt(lambda: libraries(checkout, python, environment))}

    workdir = folder / "run"
    train = [command, "train", "scenes-tiny", "--workdir", str(workdir), "--set", f"steps={STEPS}"]
    trained = _attempt(lambda: _run(train, environment, folder))
    found[f"metrics of {STEPS} steps"] = _then(trained, lambda: read_metrics(workdir, STEPS))
    found["trained parameters"] = _then(trained, lambda: read_parameters(workdir))

    for seed in SEEDS:
        file = folder / f"{seed}.png"
        draw = [command, "sample", PROMPT, "--seed", str(seed), "--output", str(file)]
        draw += [] if model is None else ["--model", model]
        drawn = _attempt(functools.partial(_run, draw, environment, folder))
        found[f"picture of seed {seed}"] = _then(drawn, functools.partial(read_picture, file))

    report = folder / "goldens.xml"
    tests = [str(python), "-m", "pytest", "-q", "-m", "golden", f"--junitxml={report}"]
    tested = _attempt(lambda: _run(tests, environment, checkout, allowed=(0, 1)))
    outcomes = found["goldens"] = _then(tested, lambda: read_outcomes(report))
    found["number of goldens"] = _then(outcomes, lambda: count_outcomes(outcomes))
    return found


def libraries(checkout: Path, python: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the versions of the libraries that compute, once the packages are known to be the checkout's.

    Makes `.venv` with uv where the checkout has none.

    Raises:
        ValueError: when the environment holds a package of another checkout, which would be compared instead.
    """
    if not python.exists():
        _run(["uv", "run", "--project", str(checkout), "i1", "--version"], environment, checkout)
    packages = sorted(path.parent.name for path in checkout.glob("packages/*/src/*/__init__.py"))
    code = (
        "import importlib.metadata as m, importlib.util as u, json, sys;"
        "packages, libraries = json.loads(sys.argv[1]);"
        "places = {name: getattr(u.find_spec(name), 'origin', None) for name in packages};"
        "print(json.dumps([places, {name: m.version(name) for name in libraries}]))"
    )
    places, versions = json.loads(
        _run([str(python), "-c", code, json.dumps([packages, LIBRARIES])], environment, checkout)
    )
    for name, place in places.items():
        if place is None or not Path(place).resolve().is_relative_to(checkout):
            raise ValueError(
                f"{checkout / '.venv'} imports {name} from {place or 'nowhere'}; run uv sync in {checkout}"
            )
    if not places:
        raise ValueError(f"{checkout} has no packages/*/src: it is not a checkout of i1")
    return versions


def read_metrics(workdir: Path, steps: int) -> dict[str, dict[str, Any]]:
    """Returns the metrics of a run by step, without the values of what depends on the machine.

    Raises:
        ValueError: when there is not exactly one file of metrics, or it does not hold every step once.
    """
    files = [
        file for file in sorted(workdir.rglob("*.jsonl")) if '"loss"' in file.read_text(encoding="utf-8")
    ]
    if len(files) != 1:
        raise ValueError(f"{len(files)} files *.jsonl with a loss in the workdir, expected 1")
    lines = [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()]
    if [line.pop("step", None) for line in lines] != list(range(1, steps + 1)):
        raise ValueError(f"{files[0].name} does not hold the steps 1 to {steps} in order")
    return {
        f"step {step}": {name: "measured" if name in OF_THE_MACHINE else v for name, v in line.items()}
        for step, line in enumerate(lines, 1)
    }


def read_parameters(workdir: Path) -> dict[str, dict[str, Any]]:
    """Returns the tensors of the newest checkpoint's model: dtype, shape and bytes of each.

    Raises:
        ValueError: when there is no checkpoint with a model, or its file is damaged.
    """
    files = {}
    for file in workdir.rglob("model.safetensors"):
        steps = [int(part) for part in file.relative_to(workdir).parts if re.fullmatch(r"\d+", part)]
        if steps:
            files[steps[-1]] = file
    if not files:
        raise ValueError("no model.safetensors in a checkpoint of the workdir")
    data = files[max(files)].read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {"of": f"step {max(files)}"}
    for name, entry in sorted(header.items()):
        begin, end = entry["data_offsets"]
        tensors[name] = {
            "dtype": entry["dtype"],
            "shape": entry["shape"],
            "bytes": data[start + begin : start + end],
        }
    return tensors


def read_picture(file: Path) -> dict[str, Any]:
    """Returns the mode, size and pixels of a picture; its metadata names the checkout and is left out."""
    with Image.open(file) as image:
        return {"mode": image.mode, "size": list(image.size), "pixels": image.tobytes()}


def read_outcomes(report: Path) -> dict[str, int]:
    """Returns which tests passed and which were skipped, with their numbers, from pytest's JUnit report.

    Raises:
        ValueError: when a test failed, or none passed.
    """
    outcomes: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for case in ET.parse(report).getroot().iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        outcomes[outcome].append(str(case.get("name")))
    if failed := outcomes["failed"]:
        raise ValueError(
            f"{len(failed)} tests failed, {len(outcomes['passed'])} passed: {', '.join(sorted(failed))}"
        )
    if not outcomes["passed"]:
        raise ValueError("no test marked golden passed")
    names = Counter(f"{name} {outcome}" for outcome, names in outcomes.items() for name in names)
    return dict(sorted(names.items()))


def count_outcomes(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Returns how many tests had each outcome."""
    counts: Counter[str] = Counter()
    for name, count in outcomes.items():
        counts[name.rpartition(" ")[2]] += count
    return dict(sorted(counts.items()))


def _attempt(compute: Callable[[], Any]) -> Any:
    """Returns what a function returns, or why it failed."""
    try:
        return compute()
    except (OSError, ValueError, KeyError, ET.ParseError) as error:
        return Failed(" ".join(f"{type(error).__name__}: {error}".split()))


def _then(earlier: Any, compute: Callable[[], Any]) -> Any:
    """Returns what a function returns, or why it or the step before it failed."""
    return earlier if isinstance(earlier, Failed) else _attempt(compute)


def _run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, allowed: Sequence[int] = (0,)
) -> str:
    """Runs a command and returns what it printed.

    Raises:
        ValueError: with the last line of its errors, when it ends with a status that is not allowed.
    """
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise ValueError(f"{' '.join(command[:3])} ended with status {done.returncode}: {last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
