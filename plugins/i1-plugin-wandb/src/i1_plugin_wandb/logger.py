"""Metrics in Weights & Biases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from i1_hooks import UserError
from i1_hooks.text import one_line
from i1_train.loggers.base import PeriodicLogger, PeriodicLoggerConfig

RUN_ID = "wandb_run_id"


@dataclass(frozen=True, kw_only=True)
class WandB(PeriodicLoggerConfig):
    """One W&B run per workdir; a resumed training run continues it.

    Steps that are logged again after a resume have the same values; W&B keeps the first ones.

    Attributes:
        project: name of the project.
        entity: user or team; `None` for the account's default.
        name: name of the run; `None` for the name of the workdir.
        mode: `"offline"` only writes to `WORKDIR/wandb`, which `wandb sync` uploads.
    """

    project: str = "i1"
    entity: str | None = None
    name: str | None = None
    mode: Literal["online", "offline"] = "online"

    def build(self, workdir: Path, step: int) -> WandBLogger:
        """Opens the run.

        Raises:
            UserError: when the library is not installed, or W&B refuses the run.
        """
        return WandBLogger(self, workdir, step)


class WandBLogger(PeriodicLogger):
    """Sends points and images to one run."""

    def __init__(self, config: WandB, workdir: Path, step: int) -> None:
        try:
            import wandb
        except ImportError as error:
            raise UserError(f"the logger wandb needs its library ({error}): pip install wandb") from error
        self._image = wandb.Image
        super().__init__(config.every)
        self._last = step
        self._config_file = workdir / "config.json"
        self._config_sent = False
        id_file = workdir / RUN_ID
        try:
            self._run: Any = wandb.init(
                project=config.project,
                entity=config.entity,
                name=config.name or workdir.resolve().name,
                id=id_file.read_text().strip() if id_file.exists() else None,
                resume="allow",
                mode=config.mode,
                dir=str(workdir),
                settings=wandb.Settings(console="off"),  # the terminal belongs to the progress bar
            )
        except wandb.errors.Error as error:
            raise UserError(
                f"W&B refuses the run ({one_line(error)}); run `wandb login`, or set mode=offline"
            ) from error
        id_file.write_text(f"{self._run.id}\n")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs a step, and remembers its number for images."""
        self._last = step
        super().log(step, metrics)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Sends a point per metric."""
        self._send_config()
        self._run.log(dict(metrics), step=step)

    def _send_config(self) -> None:
        if not self._config_sent and self._config_file.exists():
            self._run.config.update(json.loads(self._config_file.read_text()), allow_val_change=True)
            self._config_sent = True

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Sends an image.

        A checkpoint may be complete a few steps late, and W&B accepts no step before its newest one.
        """
        self._run.log({name: self._image(str(file), caption=f"step {step}")}, step=max(step, self._last))

    def close(self) -> None:
        """Ends the run, which can be resumed."""
        self._run.finish()
