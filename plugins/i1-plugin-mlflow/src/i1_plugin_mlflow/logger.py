"""Metrics in MLflow."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_hooks.text import one_line
from i1_train.loggers.base import PeriodicLogger, PeriodicLoggerConfig

RUN_ID = "mlflow_run_id"
ALLOW_FILES = "MLFLOW_ALLOW_FILE_STORE"
"""MLflow requires this for its frozen file store; its SQL stores need more than mlflow-skinny."""


@dataclass(frozen=True, kw_only=True)
class MLflow(PeriodicLoggerConfig):
    """One MLflow run per workdir; a resumed training run continues it.

    Steps that are logged again after a resume are sent again with the same values.

    Attributes:
        tracking_uri: a server or a store; `None` for `$MLFLOW_TRACKING_URI`, or files in `WORKDIR/mlruns` if
            that is not set.
        experiment: name of the experiment.
        name: name of the run; `None` for the name of the workdir.
    """

    tracking_uri: str | None = None
    experiment: str = "i1"
    name: str | None = None

    def build(self, workdir: Path, step: int) -> MLflowLogger:
        """Opens the run.

        Raises:
            UserError: when the library is not installed, or the store cannot be reached.
        """
        return MLflowLogger(self, workdir, step)


class MLflowLogger(PeriodicLogger):
    """Sends points and images to one run."""

    def __init__(self, config: MLflow, workdir: Path, step: int) -> None:
        try:
            from mlflow.entities import Metric
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise UserError(
                f"the logger mlflow needs its library ({error}): pip install mlflow-skinny"
            ) from error
        uri = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            os.environ.setdefault(ALLOW_FILES, "true")
            uri = (workdir / "mlruns").resolve().as_uri()
        self._config_file = workdir / "config.json"
        self._config_sent = False
        self._metric = Metric
        super().__init__(config.every)
        id_file = workdir / RUN_ID
        try:
            self._client: Any = MlflowClient(tracking_uri=uri)
            if step and id_file.exists():
                self._run_id = id_file.read_text().strip()
                self._client.update_run(self._run_id, status="RUNNING")
            else:
                self._run_id = self._new_run(config, workdir)
                id_file.write_text(f"{self._run_id}\n")
        except MlflowException as error:
            raise UserError(
                f"MLflow at {uri} refuses the run ({one_line(error)}); check tracking_uri"
            ) from error

    def _new_run(self, config: MLflow, workdir: Path) -> str:
        found = self._client.get_experiment_by_name(config.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(config.experiment)
        run = self._client.create_run(experiment, run_name=config.name or workdir.resolve().name)
        return run.info.run_id

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Sends a point per metric."""
        now = int(time.time() * 1000)
        self._send_config()
        points = [self._metric(name, value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self._run_id, metrics=points)

    def _send_config(self) -> None:
        if not self._config_sent and self._config_file.exists():
            self._client.log_artifact(self._run_id, str(self._config_file))
            self._config_sent = True

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Stores an image as an artifact in a folder of that name."""
        del step  # the name of the file has it
        self._client.log_artifact(self._run_id, str(file), name)

    def close(self) -> None:
        """Ends the run, which can be resumed."""
        self._client.set_terminated(self._run_id, "FINISHED")
