"""Metrics of finished steps on their way from the device to the loggers, one step late."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from i1_train.config import TrainConfig
from i1_train.loggers.base import Logger
from i1_train.progress import Display
from i1_train.workdir import write_json

FAILED_BATCH = "failed_batch.json"


class NotFiniteError(RuntimeError):
    """The loss or the gradient is no finite number any more."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A step that was dispatched and perhaps not computed yet."""

    step: int
    metrics: dict[str, jax.Array]
    keys: list[str]
    captions: list[str]
    seconds: float


class Metrics:
    """Reads each step's metrics after the next one was dispatched: the device never waits for the host.

    Args:
        workdir: of the run.
        config: of the run.
        step: how many steps are finished.
        display: shows them.
    """

    def __init__(self, workdir: Path, config: TrainConfig, step: int, display: Display) -> None:
        self._workdir = workdir
        self._batch_size = config.batch_size
        self._display = display
        self._loggers: list[Logger] = [logger.build(workdir, step) for logger in config.loggers]
        self._waiting: _Waiting | None = None
        self._clock = time.perf_counter()

    def add(self, step: int, metrics: dict[str, jax.Array], batch: dict[str, Any]) -> None:
        """Takes the metrics of a dispatched step, and logs those of the one before.

        Raises:
            NotFiniteError: for the step before.
        """
        now = time.perf_counter()
        waiting = _Waiting(step, metrics, batch["key"], batch["caption"], now - self._clock)
        before, self._waiting, self._clock = self._waiting, waiting, now
        if before is not None:
            self._log(before)

    def flush(self) -> None:
        """Waits for the last step and makes sure that all its metrics are on the disk.

        Raises:
            NotFiniteError: for the last step.
        """
        if self._waiting is not None:
            self._log(self._waiting)
            self._waiting = None
        for logger in self._loggers:
            logger.flush()

    def _log(self, done: _Waiting) -> None:
        step, fetched = done.step, jax.device_get(done.metrics)
        values = {name: float(fetched[name]) for name in ("loss", *sorted(fetched.keys() - {"loss"}))}
        if not (math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])):
            path = self._workdir / FAILED_BATCH
            shown = {name: str(value) for name, value in values.items()}
            write_json(path, {"step": step, **shown, "key": done.keys, "caption": done.captions})
            raise NotFiniteError(
                f"loss {values['loss']}, gradient norm {values['grad_norm']} at step {step}: stopped without "
                f"saving; the keys of its batch are in {path}; lower the learning rate or look at its images"
            )
        values["images_per_second"] = self._batch_size / done.seconds
        for logger in self._loggers:
            logger.log(step, values)
        self._display.show(step, values)

    def log_images(self, step: int, folder: Path) -> None:
        """Gives the loggers the pictures that sampling plugins drew at a checkpoint."""
        for file in sorted(folder.glob(f"step_{step:08d}*.png")):
            for logger in self._loggers:
                logger.log_image(step, folder.name, file)

    def restart_clock(self) -> None:
        """Leaves the time since the last step, spent on a checkpoint, out of the speed."""
        self._clock = time.perf_counter()

    def close(self) -> None:
        """Closes the loggers."""
        for logger in self._loggers:
            logger.close()
