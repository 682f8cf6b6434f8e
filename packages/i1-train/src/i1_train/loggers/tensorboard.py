"""Metrics as TensorBoard event files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i1_train.loggers.base import PeriodicLogger, PeriodicLoggerConfig


@dataclass(frozen=True, kw_only=True)
class TensorBoard(PeriodicLoggerConfig):
    """Event files in a folder of the workdir; look at them with `tensorboard --logdir WORKDIR`.

    Attributes:
        folder: name of the folder.
    """

    folder: str = "tensorboard"

    def build(self, workdir: Path, step: int) -> TensorBoardLogger:
        """Opens a new event file, which hides points after step `step` in earlier files."""
        return TensorBoardLogger(workdir / self.folder, step, self.every)


class TensorBoardLogger(PeriodicLogger):
    """Writes event files without tensorboardX's thread, which would block the run when a full disk ends it.

    Raises:
        OSError: when the disk is full or may not be written.
    """

    def __init__(self, folder: Path, step: int, every: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._events: Any = event_pb2  # protobuf makes the names in these modules at import
        self._summaries: Any = summary_pb2
        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventsWriter(str(folder / "events"), f".{step}")
        super().__init__(every)
        if step:  # hides what an earlier process wrote after this step
            start = self._events.SessionLog(status=self._events.SessionLog.START)
            self._write(step + 1, session_log=start)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes a point per metric."""
        point = self._summaries.Summary.Value
        points = [point(tag=name, simple_value=value) for name, value in metrics.items()]
        self._write(step, summary=self._summaries.Summary(value=points))

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Writes an image."""
        from PIL import Image
        from tensorboardX.summary import image as summary_of

        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._write(step, summary=summary_of(name, pixels, dataformats="HWC"))

    def _write(self, step: int, **content: object) -> None:
        self._file.write_event(self._events.Event(wall_time=time.time(), step=step, **content))
        self._file.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._file.close()
