"""One trial: a recipe trained with one seed, scored, and measured on held-out images."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
from pathlib import Path
from typing import Any

import jax
from i1_bench.generation import PipelineGenerator
from i1_bench.runs import run_benchmark
from i1_bench.scenes.benchmark import ScenesConfig
from i1_data.sources import SourceConfig
from i1_hooks import UserError, to_json
from i1_hooks.files import write_atomically
from i1_train.config import TrainConfig
from i1_train.loop import train
from i1_train.monitoring.bad_steps import NotFiniteError
from i1_train.workdir import format_json

from i1_study.held_out import held_out_losses

RESULT = "trial.json"
BENCH_SEED = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """What is trained once, and where.

    Attributes:
        config: the recipe with its seed.
        folder: where it is trained; equal configurations share a folder, also across studies.
    """

    config: TrainConfig
    folder: Path

    @property
    def model(self) -> Path:
        """The model folder of the finished run."""
        return self.folder / "run" / "checkpoints" / str(self.config.steps) / "model"


def make_trial(recipe: TrainConfig, seed: int, runs: Path) -> Trial:
    """Returns the trial of a recipe with a seed; its folder in `runs` is named after its configuration."""
    config = dataclasses.replace(recipe, seed=seed)
    config.check()
    digest = hashlib.sha256(to_json(config).encode()).hexdigest()[:12]
    return Trial(config=config, folder=runs / f"{digest}-seed{seed}")


def run_trial(trial: Trial, held_out: SourceConfig, images_per_category: int) -> dict[str, Any]:
    """Runs what is missing of a trial and returns its result.

    A run that was interrupted resumes. A run whose loss is not finite is a result too:
    `{"failed": why}`.

    Returns:
        `images_per_category`; `pictures`, for each split and category whether each picture is right;
        `held_out`, the loss of each held-out image.

    Raises:
        UserError: for a folder that cannot be used, or a damaged result.
        RunInterruptedError: after SIGINT or SIGTERM, once the state is saved.
    """
    done = read_result(trial)
    if done is not None and ("failed" in done or done["images_per_category"] == images_per_category):
        return done
    if not trial.model.is_dir():
        try:
            train(trial.config, trial.folder / "run")
        except NotFiniteError as error:
            return _write(trial, {"failed": str(error)})
    bench = trial.folder / "bench"
    run_benchmark(
        ScenesConfig(),
        PipelineGenerator(str(trial.model)),
        images_per_category=images_per_category,
        seed=BENCH_SEED,
        output=bench,
    )
    losses = held_out_losses(trial.model, held_out)
    jax.clear_caches()  # the next arm is another program; compiled ones would pile up
    gc.collect()
    return _write(
        trial,
        {
            "images_per_category": images_per_category,
            "pictures": read_pictures(bench / "results.jsonl"),
            "held_out": losses.tolist(),
        },
    )


def read_result(trial: Trial) -> dict[str, Any] | None:
    """Returns what an earlier call of `run_trial` found, or None.

    Raises:
        UserError: for a damaged file.
    """
    path = trial.folder / RESULT
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it and run again") from error


def read_pictures(results: Path) -> dict[str, list[bool]]:
    """Returns for each `split/category` of a run of the benchmark whether each of its pictures is right."""
    pictures: dict[str, list[bool]] = {}
    for line in results.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        pictures.setdefault(f"{row['split']}/{row['category']}", []).append(row["right"])
    return pictures


def _write(trial: Trial, result: dict[str, Any]) -> dict[str, Any]:
    trial.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(trial.folder / RESULT, format_json(result))
    return result
