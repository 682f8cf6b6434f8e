"""Metrics for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from i1_hooks import UserError

from i1_train.loggers.base import Logger, LoggerConfig


@dataclass(frozen=True, kw_only=True)
class TensorBoard(LoggerConfig):
    """Event files in a folder of the workdir; look at them with `tensorboard --logdir WORKDIR`.

    Attributes:
        folder: the folder's name.
        every: steps between points.
    """

    folder: str = "tensorboard"
    every: int = 10

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UserError(f"tensorboard: every must be at least 1, got {self.every}")

    def build(self, workdir: Path, step: int) -> TensorBoardLogger:
        """Opens a new event file that hides the points after step `step` of earlier ones."""
        return TensorBoardLogger(workdir / self.folder, step, self.every)


class TensorBoardLogger(Logger):
    """Writes event files with tensorboardX."""

    def __init__(self, folder: Path, step: int, every: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        self._every = every

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes a point per metric when one is due; the first step always is."""
        if step % self._every == 0 or step == 1:
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, step)

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Writes a picture."""
        from PIL import Image

        with Image.open(file) as image:
            self._writer.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def flush(self) -> None:
        """Writes to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()
