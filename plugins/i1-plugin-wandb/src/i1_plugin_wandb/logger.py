"""Metrics in Weights & Biases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from i1_hooks import UserError
from i1_train.loggers.base import Logger, LoggerConfig

RUN_ID = "wandb_run_id"


@dataclass(frozen=True, kw_only=True)
class WandB(LoggerConfig):
    """One W&B run per workdir; a resumed training goes on in it.

    Steps that come again after a resume are equal to those that W&B has, which keeps the first ones.

    Attributes:
        project: of W&B.
        entity: user or team; `None` for the default one of the account.
        name: of the run; `None` for the workdir's name.
        mode: `"offline"` writes to `WORKDIR/wandb` only, to be sent by `wandb sync`.
        every: steps between points.
    """

    project: str = "i1"
    entity: str | None = None
    name: str | None = None
    mode: Literal["online", "offline"] = "online"
    every: int = 10

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UserError(f"wandb: every must be at least 1, got {self.every}")

    def build(self, workdir: Path, step: int) -> WandBLogger:
        """Opens the run.

        Raises:
            UserError: when the library is absent or W&B refuses the run.
        """
        return WandBLogger(self, workdir, step)


class WandBLogger(Logger):
    """Sends points and pictures to one run."""

    def __init__(self, config: WandB, workdir: Path, step: int) -> None:
        try:
            import wandb
        except ImportError as error:
            raise UserError(f"the logger wandb needs its library ({error}): pip install wandb") from error
        self._image = wandb.Image
        self._every = config.every
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
            reason = " ".join(str(error).split())
            raise UserError(
                f"W&B refuses the run ({reason}); run `wandb login`, or set mode=offline"
            ) from error
        id_file.write_text(f"{self._run.id}\n")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Sends a point per metric when one is due; the first step always is."""
        self._last = step
        if step % self._every == 0 or step == 1:
            self._send_config()
            self._run.log(dict(metrics), step=step)

    def _send_config(self) -> None:
        if not self._config_sent and self._config_file.exists():
            self._run.config.update(json.loads(self._config_file.read_text()), allow_val_change=True)
            self._config_sent = True

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Sends a picture.

        W&B takes no step before its newest, and a checkpoint may be complete after some more steps.
        """
        self._run.log({name: self._image(str(file), caption=f"step {step}")}, step=max(step, self._last))

    def close(self) -> None:
        """Ends the run; it can be resumed."""
        self._run.finish()
