"""Metrics of finished steps on their way from the device to the loggers, one step late."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from i1_train.loggers.base import Logger
from i1_train.monitoring.bad_steps import BadSteps
from i1_train.monitoring.measures import BY_TIME, HELD_OUT
from i1_train.monitoring.progress import Display
from i1_train.monitoring.utilisation import Utilisation, memory
from i1_train.state import StepMetrics

MEASURED_HERE = ("images_per_second", "data_wait", "utilisation", "memory/host", "memory/device")
"""Metrics that depend on the machine: all others are the same in every run of a recipe."""


@dataclass(frozen=True, eq=False)
class _Dispatched:
    """A step that has been dispatched and may not be computed yet."""

    step: int
    metrics: StepMetrics
    keys: Sequence[str]
    captions: Sequence[str]
    data_seconds: float


class Metrics:
    """Reads the metrics of each step after the next one is dispatched, so that the device never waits.

    The duration of a step is the time between the arrival of the previous step's metrics and of its own, on a
    monotonic clock. The first step of a process, which compiles, has no speed.

    Args:
        loggers: where metrics are written.
        bad_steps: checks every step.
        display: shows every step.
        batch_size: images per step.
        utilisation: computes the utilisation of the devices, if their peak is known.
    """

    def __init__(
        self,
        loggers: Logger,
        bad_steps: BadSteps,
        display: Display,
        *,
        batch_size: int,
        utilisation: Utilisation | None = None,
    ) -> None:
        self._batch_size = batch_size
        self._display = display
        self._utilisation = utilisation
        self._loggers = loggers
        self._bad_steps = bad_steps
        self._dispatched: _Dispatched | None = None
        self._clock: float | None = None
        self.held_out_loss: float | None = None

    def add(
        self,
        step: int,
        metrics: StepMetrics,
        *,
        keys: Sequence[str],
        captions: Sequence[str],
        data_seconds: float = 0.0,
    ) -> None:
        """Takes the metrics of a dispatched step, and logs those of the previous one.

        Args:
            step: number of the step.
            metrics: scalars that the device may still be computing.
            keys: keys of the records in its batch.
            captions: captions of its batch.
            data_seconds: how long the step waited for its batch.

        Raises:
            BadStepError: for the previous step.
        """
        for value in metrics.values():
            if isinstance(value, jax.Array):
                value.copy_to_host_async()
        dispatched = _Dispatched(step, metrics, keys, captions, data_seconds)
        before, self._dispatched = self._dispatched, dispatched
        if before is not None:
            self._log(before)

    def flush(self) -> None:
        """Waits for the last step, and makes sure that all metrics are on disk.

        Raises:
            BadStepError: for the last step.
        """
        if self._dispatched is not None:
            self._log(self._dispatched)
            self._dispatched = None
        self._loggers.flush()

    def _log(self, done: _Dispatched) -> None:
        fetched = {name: float(value) for name, value in done.metrics.items()}
        before, self._clock = self._clock, time.monotonic()
        values = {
            name: fetched[name]
            for name in ("loss", *sorted(fetched.keys() - {"loss"}))
            if not (name.startswith(BY_TIME) and math.isnan(fetched[name]))  # the batch had no such example
        }
        self._bad_steps.check(done.step, values, done.keys, done.captions)
        if before is not None:
            values.update(self._speed(max(self._clock - before, 1e-9), done.data_seconds))
        values.update(memory())
        self.held_out_loss = values.get(HELD_OUT, self.held_out_loss)
        self._loggers.log(done.step, values)
        self._display.show(done.step, values)

    def _speed(self, seconds: float, data_seconds: float) -> Mapping[str, float]:
        """Returns the speed of a step that took `seconds` and waited `data_seconds` of them for its batch."""
        speed = {
            "images_per_second": self._batch_size / seconds,
            "data_wait": min(data_seconds / seconds, 1.0),
        }
        if self._utilisation is not None:
            speed["utilisation"] = self._utilisation.at(seconds)
        return speed

    def log_images(self, step: int, folder: Path) -> None:
        """Passes the images that sampling plugins drew at a checkpoint to the loggers."""
        for file in sorted(folder.glob(f"step_{step:08d}*.png")):
            self._loggers.log_image(step, folder.name, file)

    def restart_clock(self) -> None:
        """Leaves the time since the last `flush`, which a checkpoint took, out of the speed."""
        self._clock = time.monotonic()

    def close(self) -> None:
        """Closes the loggers."""
        self._loggers.close()
