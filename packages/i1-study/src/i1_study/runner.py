"""A study from its arms to its summary: every trial in turn, then the files that say how they compare."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from i1_hooks import UserError, get_registry, override, to_dict
from i1_hooks.files import write_atomically
from i1_train.workdir import format_json

from i1_study.base import Arm, StudyConfig, check_arms
from i1_study.plot import svg
from i1_study.report import markdown
from i1_study.summary import summarise
from i1_study.trial import Trial, make_trial, run_trial

LIBRARIES = ("jax", "flax", "optax", "numpy")


def plan(
    study: StudyConfig, *, seeds: int, runs: Path, assignments: Sequence[str] = ()
) -> dict[str, list[Trial]]:
    """Returns the trials of every arm, one per seed 0, 1, ...; the reference comes first.

    Args:
        study: what is compared.
        seeds: number of seeds.
        runs: the folder that holds the trials' folders.
        assignments: `path=value` settings that every arm's recipe gets.

    Raises:
        UserError: for settings that do not fit, or arms that cannot be compared.
    """
    arms = tuple(Arm(name=arm.name, recipe=override(arm.recipe, assignments)) for arm in study.arms())
    check_arms(arms)
    return {arm.name: [make_trial(arm.recipe, seed, runs) for seed in range(seeds)] for arm in arms}


def run_study(
    name: str,
    study: StudyConfig,
    *,
    workdir: Path,
    seeds: int,
    images_per_category: int,
    assignments: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Runs the missing trials of a study and writes its summary; calling it again resumes.

    Args:
        name: of the study; its summary lies in the folder of this name in `workdir`.
        study: what is compared.
        workdir: holds `runs/`, which studies share, and the summaries.
        seeds: runs of each arm.
        images_per_category: pictures of each category and split of the scenes benchmark.
        assignments: `path=value` settings that every arm's recipe gets.
        say: told the beginning of each trial.

    Returns:
        what `study.json` holds.

    Raises:
        UserError: for settings that do not fit, or a folder that cannot be used.
        RunInterruptedError: after SIGINT or SIGTERM, once the state is saved.
    """
    trials = plan(study, seeds=seeds, runs=workdir / "runs", assignments=assignments)
    results: dict[str, list[dict[str, Any]]] = {arm: [] for arm in trials}
    total, number = seeds * len(trials), 0
    for seed in range(seeds):  # seed by seed, so that an interrupted study has compared all arms
        for arm, of_arm in trials.items():
            number += 1
            say(f"{name}: {arm}, seed {seed} ({number} of {total}) in {of_arm[seed].folder}")
            results[arm].append(run_trial(of_arm[seed], study.held_out(), images_per_category))
    published = study.published()
    first = next(iter(trials.values()))[0].config
    record = {
        "study": name,
        "question": study.question(),
        "source": None if published is None else published.source,
        "published_metrics": [] if published is None else list(published.metrics),
        "settings": {
            "seeds": seeds,
            "steps": first.steps,
            "images_per_category": images_per_category,
            "set": list(assignments),
        },
        "arms": summarise(results, published),
        "runs": {arm: [trial.folder.name for trial in of_arm] for arm, of_arm in trials.items()},
        "recipes": {arm: to_dict(of_arm[0].config) for arm, of_arm in trials.items()},
        "plugins": get_registry().installed(),
        "libraries": {library: importlib.metadata.version(library) for library in LIBRARIES},
    }
    write(workdir / name, record)
    return record


def write(folder: Path, record: dict[str, Any]) -> None:
    """Writes `study.json`, `study.md` and `study.svg`.

    Raises:
        UserError: when they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "study.json", format_json(record))
        (folder / "study.md").write_text(markdown(record), encoding="utf-8")
        (folder / "study.svg").write_text(svg(record), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from error
