"""Several recipes trained one after another, each starting from the result of the previous one."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from i1_hooks import UserError

from i1_train.config import PREVIOUS_STAGE, FromStage, InitFrom, TrainConfig


def plan_stages(
    configs: Sequence[TrainConfig], workdir: str | os.PathLike[str]
) -> list[tuple[TrainConfig, Path]]:
    """Returns the configuration and the workdir of every stage.

    A single recipe trains in `workdir` itself, several train in `workdir/RECIPE`. A later recipe without a
    start continues from the whole state of the previous stage, as the published resolutions of i1 do; one
    with `start=InitFrom(weights="@previous")` takes its averaged weights.

    Args:
        configs: the recipes in the order of training.
        workdir: workdir of the run.

    Raises:
        UserError: for a recipe that is named twice, or a first one that starts from the previous stage.
    """
    counts = collections.Counter(config.recipe for config in configs)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"recipe {twice[0]!r} is named twice; every stage is another recipe")
    if _names_previous(configs[0]):
        raise UserError(
            f"recipe {configs[0].recipe!r} starts from the previous stage: name that recipe first, as in "
            f"`i1 train FIRST {configs[0].recipe}`, or give weights with --init-from PATH"
        )
    if len(configs) == 1:
        return [(configs[0], Path(workdir))]
    folders = [Path(workdir) / config.recipe for config in configs]
    later = [
        dataclasses.replace(config, start=_continue(config, str(previous)))
        for config, previous in zip(configs[1:], folders, strict=False)
    ]
    return list(zip([configs[0], *later], folders, strict=True))


def _names_previous(config: TrainConfig) -> bool:
    return config.start in (InitFrom(weights=PREVIOUS_STAGE), FromStage(workdir=PREVIOUS_STAGE))


def _continue(config: TrainConfig, previous: str) -> InitFrom | FromStage:
    """Returns what a later stage starts from, given the workdir of the previous one."""
    if config.start is None or config.start == FromStage(workdir=PREVIOUS_STAGE):
        return FromStage(workdir=previous)
    if config.start == InitFrom(weights=PREVIOUS_STAGE):
        return InitFrom(weights=previous)
    return config.start
