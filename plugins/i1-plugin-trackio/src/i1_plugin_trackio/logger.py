"""Metrics in Trackio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_train.loggers.base import Logger, LoggerConfig


@dataclass(frozen=True, kw_only=True)
class Trackio(LoggerConfig):
    """One Trackio run per workdir; a resumed training goes on in it.

    Points are kept in `$TRACKIO_DIR`, by default in the Hugging Face cache; `trackio show` shows them. Steps
    that come again after a resume are written again with the same values.

    Attributes:
        project: of Trackio.
        name: of the run; `None` for the workdir's name.
        space_id: a Hugging Face Space that shows the run to others; `None` for this machine alone.
        every: steps between points.
    """

    project: str = "i1"
    name: str | None = None
    space_id: str | None = None
    every: int = 10

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UserError(f"trackio: every must be at least 1, got {self.every}")

    def build(self, workdir: Path, step: int) -> TrackioLogger:
        """Opens the run.

        Raises:
            UserError: when the library is absent.
        """
        return TrackioLogger(self, workdir, step)


class TrackioLogger(Logger):
    """Writes points and pictures to one run."""

    def __init__(self, config: Trackio, workdir: Path, step: int) -> None:
        try:
            import trackio
        except ImportError as error:
            raise UserError(f"the logger trackio needs its library ({error}): pip install trackio") from error
        self._image = trackio.Image
        self._every = config.every
        self._run: Any = trackio.init(
            project=config.project,
            name=config.name or workdir.resolve().name,
            space_id=config.space_id,
            resume="allow" if step else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes a point per metric when one is due; the first step always is."""
        if step % self._every == 0 or step == 1:
            self._run.log(dict(metrics), step=step)

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Writes a picture."""
        self._run.log({name: self._image(file, caption=f"step {step}")}, step=step)

    def close(self) -> None:
        """Writes what waits and ends the run; it can be resumed."""
        self._run.finish()
