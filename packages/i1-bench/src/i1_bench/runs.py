"""One run of a benchmark in a folder: generate what is missing, judge, write scores and the contact sheet."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from i1_hooks import UserError, to_dict
from PIL import Image, UnidentifiedImageError

from i1_bench.benchmarks import BenchmarkConfig, Request
from i1_bench.generation import Generator
from i1_bench.judges import Verdict
from i1_bench.report import contact_sheet
from i1_bench.scoring import result_line

RUN_FILE = "run.json"
_DISTRIBUTIONS = ("i1-bench", "i1-sample", "i1-model", "jax", "numpy", "pillow", "scipy")


def run_benchmark(
    config: BenchmarkConfig,
    generator: Generator | None,
    *,
    images_per_category: int,
    seed: int,
    output: Path,
    images: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs a benchmark and writes `scores.json`, `results.jsonl`, `contact_sheet.png` and `images/`.

    Pictures that are already there are not generated again, also when an interrupted run, or one of fewer
    pictures per category, left them.

    Args:
        config: the benchmark.
        generator: makes the pictures; None with `images`.
        images_per_category: pictures of each category and split.
        seed: of prompts, noise and bootstrap.
        output: the folder of the run, made when absent.
        images: a folder of existing pictures to score, laid out as `Request.path` says.
        progress: called with the numbers of pictures generated and to generate.

    Returns:
        what `scores.json` holds.

    Raises:
        UserError: for a folder of another run, a missing or unreadable picture, or not exactly one source.
    """
    if (generator is None) == (images is None):
        raise UserError("a benchmark needs either a model or a folder of pictures")
    benchmark = config.build()
    requests = benchmark.requests(images_per_category, seed)
    source = generator.describe() if generator is not None else {"images": os.fspath(images or "")}
    identity = {"benchmark": benchmark.name, "seed": seed, **source}
    _claim(output, identity)
    folder = images if images is not None else output / "images"
    if generator is not None:
        _generate(generator, requests, seed, folder, progress)
    judge = benchmark.judge()
    pictures = [_read(folder / request.path) for request in requests]
    verdicts = [judge.judge(p, r.prompt.spec) for p, r in zip(pictures, requests, strict=True)]
    prompts = [request.prompt for request in requests]
    scores = {
        **benchmark.scores(prompts, verdicts, seed),
        **identity,
        "images_per_category": images_per_category,
        "configuration": to_dict(config),
        "versions": _versions(),
    }
    _write_text(output / "results.jsonl", _results(requests, verdicts))
    contact_sheet(prompts, pictures, verdicts).save(output / "contact_sheet.png")
    _write_text(output / "scores.json", json.dumps(scores, indent=2) + "\n")
    return scores


def _claim(output: Path, identity: dict[str, Any]) -> None:
    """Marks a folder as this run's.

    Raises:
        UserError: when it is another run's, holds other files, or cannot be made.
    """
    record = output / RUN_FILE
    try:
        output.mkdir(parents=True, exist_ok=True)
        if record.exists():
            found = json.loads(record.read_text(encoding="utf-8"))
        elif any(output.iterdir()):
            raise UserError(f"{output} holds other files: choose a new or empty folder for --output")
        else:
            _write_text(record, json.dumps(identity, indent=2) + "\n")
            return
    except OSError as error:
        raise UserError(
            f"cannot use {output}: {error.strerror}; choose another folder for --output"
        ) from error
    except json.JSONDecodeError as error:
        raise UserError(f"{record} is damaged ({error}); choose another folder for --output") from error
    different = [key for key in {**found, **identity} if found.get(key) != identity.get(key)]
    if different:
        key = different[0]
        raise UserError(
            f"{output} holds another run: {key} {json.dumps(found.get(key))}, "
            f"not {json.dumps(identity.get(key))}; choose another --output, or that run's settings"
        )


def _generate(
    generator: Generator,
    requests: Sequence[Request],
    seed: int,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    missing = [request for request in requests if not (folder / request.path).exists()]
    for request in missing:
        (folder / request.path).parent.mkdir(parents=True, exist_ok=True)
    made = generator.generate(missing, seed)
    for done, (request, picture) in enumerate(zip(missing, made, strict=True), 1):
        path = folder / request.path
        partial = path.with_suffix(".partial")
        Image.fromarray(picture).save(partial, format="PNG")
        partial.replace(path)
        if progress is not None:
            progress(done, len(missing))


def _read(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError as error:
        raise UserError(f"no picture {path}; --write-prompts lists every picture that is needed") from error
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"{path} is not a readable picture ({error}); delete it and run again") from error


def _results(requests: Sequence[Request], verdicts: Sequence[Verdict]) -> str:
    lines = (
        json.dumps({"image": str(request.path), **result_line(request.prompt, verdict)})
        for request, verdict in zip(requests, verdicts, strict=True)
    )
    return "".join(f"{line}\n" for line in lines)


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name.lower() in _DISTRIBUTIONS:
            found[name.lower()] = distribution.version
    return dict(sorted(found.items()))
