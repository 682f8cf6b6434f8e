"""Metrics in Trackio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_train.loggers.base import PeriodicLogger, PeriodicLoggerConfig


@dataclass(frozen=True, kw_only=True)
class Trackio(PeriodicLoggerConfig):
    """One Trackio run per workdir; a resumed training run continues it.

    Points are stored in `$TRACKIO_DIR`, by default in the Hugging Face cache; `trackio show` shows them.
    Steps that are logged again after a resume are written again with the same values.

    Attributes:
        project: name of the project.
        name: name of the run; `None` for the name of the workdir.
        space_id: a Hugging Face Space that shows the run to others; `None` to keep it on this machine.
    """

    project: str = "i1"
    name: str | None = None
    space_id: str | None = None

    def build(self, workdir: Path, step: int) -> TrackioLogger:
        """Opens the run.

        Raises:
            UserError: when the library is not installed.
        """
        return TrackioLogger(self, workdir, step)


class TrackioLogger(PeriodicLogger):
    """Writes points and images to one run."""

    def __init__(self, config: Trackio, workdir: Path, step: int) -> None:
        try:
            import trackio
        except ImportError as error:
            raise UserError(f"the logger trackio needs its library ({error}): pip install trackio") from error
        self._image = trackio.Image
        super().__init__(config.every)
        self._run: Any = trackio.init(
            project=config.project,
            name=config.name or workdir.resolve().name,
            space_id=config.space_id,
            resume="allow" if step else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes a point per metric."""
        self._run.log(dict(metrics), step=step)

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Writes an image."""
        self._run.log({name: self._image(file, caption=f"step {step}")}, step=step)

    def close(self) -> None:
        """Writes what is pending and ends the run, which can be resumed."""
        self._run.finish()
