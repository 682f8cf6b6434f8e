"""Metrics for TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """Writes event files, without tensorboardX's thread: when a full disk ends that, its queue stops the run.

    Raises:
        OSError: when the disk is full or may not be written.
    """

    def __init__(self, folder: Path, step: int, every: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._events: Any = event_pb2  # modules whose names protobuf makes as they are imported
        self._summaries: Any = summary_pb2
        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventsWriter(str(folder / "events"), f".{step}")
        self._every = every
        if step:  # hides what an earlier process wrote after it
            start = self._events.SessionLog(status=self._events.SessionLog.START)
            self._write(step + 1, session_log=start)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes a point per metric when one is due; the first step always is."""
        if step % self._every == 0 or step == 1:
            point = self._summaries.Summary.Value
            points = [point(tag=name, simple_value=value) for name, value in metrics.items()]
            self._write(step, summary=self._summaries.Summary(value=points))

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Writes a picture."""
        from PIL import Image
        from tensorboardX.summary import image as summary_of

        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._write(step, summary=summary_of(name, pixels, dataformats="HWC"))

    def _write(self, step: int, **content: Any) -> None:
        self._file.write_event(self._events.Event(wall_time=time.time(), step=step, **content))
        self._file.flush()

    def flush(self) -> None:
        """Does nothing: every event is written at once."""

    def close(self) -> None:
        """Closes the event file."""
        self._file.close()
