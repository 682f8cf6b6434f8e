"""Metrics of finished steps on their way from the device to the loggers, one step late."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from i1_train.config import TrainConfig
from i1_train.evaluation import LOSS
from i1_train.loggers.group import LoggerGroup, Quiet
from i1_train.monitoring.bad_steps import Incidents
from i1_train.monitoring.measures import BY_TIME
from i1_train.monitoring.progress import Display
from i1_train.monitoring.utilisation import Chip, memory

MEASURED_HERE = ("images_per_second", "data_wait", "utilisation", "memory/host", "memory/device")
"""Metrics of the machine: all others are the same in every run of a recipe."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A step that was dispatched and perhaps not computed yet."""

    step: int
    metrics: Mapping[str, jax.Array]
    keys: list[str]
    captions: list[str]
    data_seconds: float


class Metrics:
    """Reads each step's metrics after the next one was dispatched: the device never waits for the host.

    A step takes from the moment when the metrics of the one before were there until its own are, on a clock
    that only goes forward, whatever happens to the clock on the wall. The first step of a process, which
    compiles, has no speed.

    Args:
        workdir: of the run.
        config: of the run.
        step: how many steps are finished.
        display: shows them.
        chip: the device's peak and a step's work, where they are known.
    """

    def __init__(
        self, workdir: Path, config: TrainConfig, step: int, display: Display, chip: Chip | None = None
    ) -> None:
        self._batch_size = config.batch_size
        self._display = display
        self._chip = chip
        host = jax.process_index()
        self._loggers = Quiet() if host else LoggerGroup(config.loggers, workdir, step)
        self._incidents = Incidents(workdir, step, host)
        self._waiting: _Waiting | None = None
        self._clock: float | None = None
        self.held_out_loss: float | None = None

    def add(
        self, step: int, metrics: Mapping[str, jax.Array], batch: dict[str, Any], data_seconds: float = 0.0
    ) -> None:
        """Takes the metrics of a dispatched step, and logs those of the one before.

        Args:
            step: its number.
            metrics: scalars that the device may still be computing.
            batch: what it trained on.
            data_seconds: how long the step waited for its batch.

        Raises:
            BadStepError: for the step before.
        """
        for value in metrics.values():
            if isinstance(value, jax.Array):
                value.copy_to_host_async()
        waiting = _Waiting(step, metrics, batch["key"], batch["caption"], data_seconds)
        before, self._waiting = self._waiting, waiting
        if before is not None:
            self._log(before)

    def flush(self) -> None:
        """Waits for the last step and makes sure that all its metrics are on the disk.

        Raises:
            BadStepError: for the last step.
        """
        if self._waiting is not None:
            self._log(self._waiting)
            self._waiting = None
        self._loggers.flush()

    def _log(self, done: _Waiting) -> None:
        fetched = {name: float(value) for name, value in done.metrics.items()}
        before, self._clock = self._clock, time.monotonic()
        values = {
            name: fetched[name]
            for name in ("loss", *sorted(fetched.keys() - {"loss"}))
            if not (
                name.startswith(BY_TIME) and math.isnan(fetched[name])
            )  # no example of the batch was there
        }
        self._incidents.check(done.step, values, done.keys, done.captions)
        if before is not None:
            values.update(self._speed(max(self._clock - before, 1e-9), done.data_seconds))
        values.update(memory())
        self.held_out_loss = values.get(LOSS, self.held_out_loss)
        self._loggers.log(done.step, values)
        self._display.show(done.step, values)

    def _speed(self, seconds: float, data_seconds: float) -> dict[str, float]:
        """Returns how fast a step was that took some seconds, of which it waited for data."""
        speed = {
            "images_per_second": self._batch_size / seconds,
            "data_wait": min(data_seconds / seconds, 1.0),
        }
        if self._chip is not None:
            speed["utilisation"] = self._chip.step_flops / seconds / self._chip.peak_flops
        return speed

    def log_images(self, step: int, folder: Path) -> None:
        """Gives the loggers the pictures that sampling plugins drew at a checkpoint."""
        for file in sorted(folder.glob(f"step_{step:08d}*.png")):
            self._loggers.log_image(step, folder.name, file)

    def restart_clock(self) -> None:
        """Leaves the time since the last `flush`, spent on a checkpoint, out of the speed."""
        self._clock = time.monotonic()

    def close(self) -> None:
        """Closes the loggers."""
        self._loggers.close()
