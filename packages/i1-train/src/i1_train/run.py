"""A run: everything the loop works with, and what it does between two steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import jax
from i1_data.pipeline import Batches
from i1_hooks import UserError, to_dict
from i1_hooks.text import one_line
from i1_model.arrays.json_object import JsonObject
from i1_model.checkpoints.workdir import MODEL

from i1_train.callbacks import notify
from i1_train.checkpoints.manager import Checkpoints, RunRecord
from i1_train.checkpoints.provenance import installed_versions
from i1_train.checkpoints.snapshot import copy_to_first_host
from i1_train.config import TrainConfig
from i1_train.devices.placement import Placement
from i1_train.evaluation import Evaluation
from i1_train.lora import fingerprint, write_model
from i1_train.monitoring.metrics import Metrics
from i1_train.monitoring.progress import Display
from i1_train.monitoring.timing import is_due
from i1_train.parameters import Params
from i1_train.parts import Parts
from i1_train.report.page import write_report
from i1_train.state import Batch, Constants, HostBatch, State, StepMetrics, TrainStep
from i1_train.workdir import CONFIG, format_json


@dataclass(kw_only=True)
class Run:
    """What the loop works with; only `state`, `step` and `data_seconds` change.

    Attributes:
        config: the recipe.
        workdir: workdir of the run.
        parts: the objects that the recipe names.
        state: the training state after `step` steps.
        step: number of finished steps.
        placement: the sharding of all arrays.
        constants: the run's key, and the frozen arrays of text encoders and autoencoder.
        train_step: the jitted step.
        batches: the data.
        checkpoints: where states are saved.
        metrics: where metrics are written.
        display: the progress on the terminal.
        evaluation: measures the held-out loss; `None` when the recipe holds nothing out.
        data_seconds: how long the last batch was waited for.
    """

    config: TrainConfig
    workdir: Path
    parts: Parts
    state: State
    step: int
    placement: Placement
    constants: Constants
    train_step: TrainStep
    batches: Batches
    checkpoints: Checkpoints
    metrics: Metrics
    display: Display
    evaluation: Evaluation | None = None
    data_seconds: float = 0.0

    def next_batch(self) -> HostBatch:
        """Returns the next batch, and notes how long it was waited for.

        Raises:
            UserError: when a background thread of the data died.
        """
        begin = time.monotonic()
        try:
            batch = cast("HostBatch", next(self.batches))
        except (UserError, OSError):
            raise
        except Exception as error:  # a plugin's source may fail in any way
            reason = one_line(f"{type(error).__name__}: {error}")
            raise UserError(
                f"the data failed after step {self.step} ({reason}); correct it and run again: the run "
                "resumes from its last checkpoint"
            ) from error
        self.data_seconds = time.monotonic() - begin
        return batch

    def to_device(self, batch: HostBatch) -> Batch:
        """Returns what the step reads of a batch; of several hosts, each transfers its own rows."""
        arrays: Batch = {"image": batch["image"], "tokens": batch["tokens"]}
        if self.placement.batch.is_fully_addressable:
            return arrays  # the step itself transfers them
        return self.placement.put_batch(arrays)

    def evaluation_due(self) -> bool:
        """Says whether the held-out loss is measured after this step; checkpoints are ranked by it."""
        if self.evaluation is None:
            return False
        ranked = self.config.checkpoints.keep_best > 0 and self.checkpoint_due()
        return ranked or is_due(self.step, self.config.held_out.every, self.config.steps)

    def evaluate(self) -> StepMetrics:
        """Returns the held-out loss of the averaged parameters, which the device may still be computing."""
        assert self.evaluation is not None
        return self.evaluation(self.state, self.constants)

    def log(self, metrics: StepMetrics, batch: HostBatch) -> None:
        """Logs the metrics of this step once the device has computed them.

        Raises:
            BadStepError: for the step before.
        """
        self.metrics.add(
            self.step,
            metrics,
            keys=batch["key"],
            captions=batch["caption"],
            data_seconds=self.data_seconds,
        )

    def checkpoint_due(self) -> bool:
        """Says whether this step gets a checkpoint."""
        return is_due(self.step, self.config.checkpoints.every, self.config.steps, first=False)

    def begin_checkpoint(self) -> None:
        """Starts to write the checkpoint of this step, with the averaged parameters as a model folder.

        Raises:
            UserError: when the disk is full or cannot be written.
        """
        self.metrics.flush()
        step, config, versions = self.step, self.config, installed_versions()
        record: RunRecord = {
            "step": step,
            "data": self.batches.get_state(),
            "base": fingerprint(self.parts.base),
            "score": self.metrics.held_out_loss,
            "plugins": versions["plugins"],
            "libraries": versions["libraries"],
        }
        averaged = {**self.state["params"], **self.state["ema"]}
        weights = {path: copy_to_first_host(value) for path, value in averaged.items()}
        about = model_metadata(config, step)

        def write_extra(folder: Path) -> None:
            (folder / CONFIG).write_text(format_json(to_dict(config)), encoding="utf-8")
            write_model(folder / MODEL, config, self.parts.network, cast("Params", weights), about)

        self.checkpoints.begin(step, self.state, record, write_extra)
        self.metrics.restart_clock()

    def save_and_wait(self) -> str:
        """Saves the state at once, and returns the path of the newest checkpoint.

        If a checkpoint is being written, that one is completed instead: whoever sent the signal is waiting,
        and the few steps since then will be computed again, bit for bit.

        Raises:
            UserError: when the disk is full or cannot be written.
        """
        if self.checkpoints.is_writing():
            self.metrics.flush()
        else:
            self.begin_checkpoint()
        self.checkpoints.wait()
        return one_line(self.checkpoints.path(self.checkpoints.steps()[-1]))

    def announce_checkpoints(self) -> None:
        """Tells plugins about new complete checkpoints, and loggers about the images that plugins drew.

        Raises:
            UserError: when a checkpoint could not be written.
        """
        folders = self.checkpoints.finished()
        if not folders:
            return
        self.metrics.flush()
        for folder in folders:
            step = int(folder.name)
            if jax.process_index() == 0:
                notify(
                    "i1_checkpoint_saved",
                    workdir=self.workdir,
                    model=folder / MODEL,
                    step=step,
                    prompts=self.config.preview_prompts,
                )
                self.metrics.log_images(step, self.workdir / "samples")
        self.metrics.restart_clock()

    def finish(self) -> None:
        """Waits for the last checkpoint, announces it, and writes the report of the run."""
        self.metrics.flush()
        self.checkpoints.wait()
        self.announce_checkpoints()
        if jax.process_index() == 0:
            write_report(self.workdir)


def model_metadata(config: TrainConfig, step: int) -> JsonObject:
    """Returns what the `config.json` of a checkpoint's model folder says besides the model."""
    return {
        "step": step,
        "recipe": config.recipe,
        "preview_prompts": list(config.preview_prompts),
        "sampling": to_dict(config.sampling),
    }
