"""What a logger is: it is told every step's metrics, in order, each step once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from i1_hooks import ComponentConfig


class LoggerConfig(ComponentConfig, kind="loggers"):
    """Base of every logger's configuration."""

    def build(self, workdir: Path, step: int) -> Logger:
        """Opens the log of a run.

        Args:
            workdir: the run's folder; a logger writes below it or elsewhere.
            step: how many steps are finished. What an earlier process logged after that step will come again:
                it is removed or hidden.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")


class Logger:
    """Base of every logger; host side, called from one thread."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of finished step `step`, counted from 1."""
        raise NotImplementedError(f"{type(self).__qualname__} must define log()")

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Takes a picture made after step `step`; ignored unless a logger can show it."""

    def flush(self) -> None:
        """Makes sure that what was logged survives the end of the process; called before each checkpoint."""

    def close(self) -> None:
        """Ends the log."""
