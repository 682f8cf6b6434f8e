"""The checkpoints of a workdir: `checkpoints/STEP`, each with its model in `model`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

CHECKPOINTS = "checkpoints"
MODEL = "model"
_STEP = re.compile(r"0|[1-9][0-9]*")


def checkpoint_steps(workdir: Path) -> list[int]:
    """Returns the steps of a workdir's checkpoints, ascending; empty without a folder `checkpoints`."""
    return steps_in(workdir / CHECKPOINTS)


def steps_in(folder: Path) -> list[int]:
    """Returns the steps of the checkpoints in a folder `checkpoints`, ascending; empty without the folder."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if _STEP.fullmatch(path.name) and path.is_dir())


def newest_checkpoint(workdir: Path, is_complete: Callable[[Path], bool] = Path.is_dir) -> Path | None:
    """Returns the folder of a workdir's newest checkpoint, or None without one.

    Args:
        workdir: the folder of a training run.
        is_complete: tells whether a checkpoint will do; others are passed over.
    """
    folders = (workdir / CHECKPOINTS / str(step) for step in reversed(checkpoint_steps(workdir)))
    return next((folder for folder in folders if is_complete(folder)), None)
