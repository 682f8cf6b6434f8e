"""The base of loggers, which are told the metrics of every step, in order and each step once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from i1_hooks import ComponentConfig

from i1_train.checks import require_at_least


class LoggerConfig(ComponentConfig, kind="loggers"):
    """Base of every logger's configuration."""

    def build(self, workdir: Path, step: int) -> Logger:
        """Opens the log of a run.

        Args:
            workdir: workdir of the run; a logger writes into it or elsewhere.
            step: number of finished steps. Steps after it that an earlier process logged will be logged
                again: the logger removes or hides the old ones.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")


class Logger:
    """Base of every logger; it runs on the host and is called from one thread."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of finished step `step`, counted from 1."""
        raise NotImplementedError(f"{type(self).__qualname__} must define log()")

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Logs an image made after step `step`; ignored by loggers that cannot show images."""

    def flush(self) -> None:
        """Makes sure that what was logged survives the end of the process; called before each checkpoint."""

    def close(self) -> None:
        """Ends the log."""


@dataclass(frozen=True, kw_only=True)
class PeriodicLoggerConfig(LoggerConfig):
    """Base of loggers that log every few steps.

    Attributes:
        every: number of steps between points; the first step always has one.
    """

    every: int = 10

    def __post_init__(self) -> None:
        require_at_least(1, self, ("every",), f"{type(self).__name__.lower()}: ")


class PeriodicLogger(Logger):
    """Base of loggers that log every `every` steps; define `write` instead of `log`.

    Args:
        every: number of steps between points.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes the metrics of the first step and of every `every`-th step."""
        if step % self._every == 0 or step == 1:
            self.write(step, metrics)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes the metrics of a step."""
        raise NotImplementedError(f"{type(self).__qualname__} must define write()")
