"""A run: everything the loop holds, opened and closed in one place."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from i1_data.pipeline import Batches, make_batches
from i1_hooks import UserError, to_dict

from i1_train.callbacks import notify
from i1_train.checkpoints.manager import MODEL, SCORE, Checkpoints
from i1_train.checkpoints.provenance import model_metadata, versions, warn_of_versions
from i1_train.checkpoints.snapshot import host_copy
from i1_train.checkpoints.warm_start import next_stage
from i1_train.checkpoints.weights import with_weights
from i1_train.config import FromStage, TrainConfig
from i1_train.devices.agreement import check_alike, check_shared, together
from i1_train.devices.machines import MachineMesh
from i1_train.devices.placement import Placement, find_machine, make_placement, on_machine
from i1_train.evaluation import Measure, make_held_out
from i1_train.lora import check_base, fingerprint, write_model
from i1_train.monitoring.metrics import Metrics
from i1_train.monitoring.profiling import traced
from i1_train.monitoring.progress import Display, Silent, make_display
from i1_train.monitoring.timing import is_due
from i1_train.monitoring.utilisation import find_chip
from i1_train.parts import Parts, build_parts
from i1_train.process.out_of_memory import explained
from i1_train.process.signals import RunInterruptedError
from i1_train.report.page import write_report
from i1_train.step import Batch, State, TrainStep, init_state, make_step, state_shapes
from i1_train.workdir import CONFIG, open_workdir, write_json


@dataclass(kw_only=True)
class Run:
    """What the loop works with; `state` and `step` change, the rest stays.

    Attributes:
        config: the recipe.
        workdir: the run's folder.
        parts: the built objects.
        state: the training state after `step` steps.
        step: number of finished steps.
        placement: where arrays live.
        constants: the run's key, and the frozen arrays of text encoders and autoencoder.
        train_step: the jitted step.
        batches: the data.
        checkpoints: where states are kept.
        metrics: where numbers go.
        display: what a person sees.
        held_out: measures the loss on pictures that are not trained on, `None` when there are none.
        data_seconds: how long the last batch was waited for.
    """

    config: TrainConfig
    workdir: Path
    parts: Parts
    state: State
    step: int
    placement: Placement
    constants: Any
    train_step: TrainStep
    batches: Batches
    checkpoints: Checkpoints
    metrics: Metrics
    display: Display
    held_out: Measure | None = None
    data_seconds: float = 0.0

    def to_device(self, batch: dict[str, Any]) -> Batch:
        """Returns what the step reads; on several hosts each gives its rows, on one the step fetches them."""
        arrays = {"image": batch["image"], "tokens": batch["tokens"]}
        if self.placement.batch.is_fully_addressable:
            return arrays
        return self.placement.put_batch(arrays)

    def next_batch(self) -> dict[str, Any]:
        """Returns the next batch, and notes how long it was waited for.

        Raises:
            UserError: when a background thread of the data died.
        """
        begin = time.monotonic()
        try:
            batch = next(self.batches)
        except (UserError, OSError):
            raise
        except Exception as error:  # a source of a plugin may fail in any way
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                f"the data failed after step {self.step} ({reason}); correct it and run again: the run goes "
                "on from its last checkpoint"
            ) from error
        self.data_seconds = time.monotonic() - begin
        return batch

    def finish_step(self, step: int, metrics: Any, batch: dict[str, Any]) -> None:
        """Notes a dispatched step and its metrics, with the held-out loss when it is due."""
        self.step = step
        config = self.config
        if self.held_out is not None and (
            is_due(step, config.held_out.every, config.steps)
            or (config.checkpoints.keep_best and self.checkpoint_due())
        ):
            metrics = {**metrics, **self.held_out(self.state, self.constants)}
        self.metrics.add(step, metrics, batch, self.data_seconds)

    def checkpoint_due(self) -> bool:
        """Says whether the finished step gets a checkpoint."""
        return is_due(self.step, self.config.checkpoints.every, self.config.steps, first=False)

    def begin_checkpoint(self) -> None:
        """Begins to write the checkpoint of the finished step, with the averaged weights as a model folder.

        Raises:
            UserError: when the disk is full or may not be written.
        """
        self.metrics.flush()
        step, config = self.step, self.config
        record = {
            "step": step,
            "data": self.batches.get_state(),
            "base": fingerprint(self.parts.base),
            SCORE: self.metrics.held_out_loss,
            **versions(),
        }
        averaged = {**self.state["params"], **self.state["ema"]}
        weights: Any = {path: host_copy(value) for path, value in averaged.items()}

        def write_extra(folder: Path) -> None:
            write_json(folder / CONFIG, to_dict(config))
            about = model_metadata(config, step)
            write_model(folder / MODEL, config, self.parts.network, weights, about)

        self.checkpoints.begin(step, self.state, record, write_extra)
        self.metrics.restart_clock()

    def save_and_wait(self) -> Path:
        """Saves the finished step at once, and returns the checkpoint.

        While one is being written, that one is waited for instead: whoever sent the signal waits too, and the
        few steps since then are computed again, bit for bit.

        Raises:
            UserError: when the disk is full or may not be written.
        """
        if self.checkpoints.is_writing():
            self.metrics.flush()
        else:
            self.begin_checkpoint()
        return self.checkpoints.wait()

    def announce_checkpoints(self) -> None:
        """Tells plugins about checkpoints that are complete now, and loggers about the pictures they drew.

        Raises:
            UserError: when one could not be written.
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
        if self.checkpoints.steps():
            self.checkpoints.wait()
        self.announce_checkpoints()
        if jax.process_index() == 0:
            write_report(self.workdir)


@contextlib.contextmanager
def open_run(config: TrainConfig, workdir: Path, profile: int = 0) -> Iterator[Run]:
    """Opens a new run, or an earlier one at its newest checkpoint; closes it, and tells plugins how it ended.

    Args:
        config: the recipe.
        workdir: of the run.
        profile: how many steps to trace.

    Raises:
        UserError: for a workdir or data that do not fit, a full disk, a device without memory.
    """
    check_alike("recipe", to_dict(config))
    check_alike("installation", versions())
    first = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        with together("preparation"):
            machine = find_machine(config, jax.devices())
            parts = build_parts(on_machine(config, machine))
            workdir = stack.enter_context(open_workdir(workdir, config, first=first))
            constants, shapes = parts.constants(config.seed), state_shapes(parts)
            placement = make_placement(config, parts, shapes, constants, machine, jax.devices())
            batches = make_batches(
                config.data,
                batch_size=config.batch_size,
                seed=config.seed,
                tokenize=parts.tokenize,
                rows=placement.rows,
            )
            stack.callback(batches.close)
        check_shared(workdir)
        check_alike("data", batches.get_state())
        checkpoints = stack.enter_context(
            Checkpoints(
                workdir / "checkpoints",
                keep=config.checkpoints.keep,
                keep_every=config.checkpoints.keep_every,
                keep_best=config.checkpoints.keep_best,
            )
        )
        stack.enter_context(explained(config, shapes, jax.eval_shape(lambda: constants)))
        constants = placement.put_constants(constants)
        state = restore(config, parts, placement, constants["key"], checkpoints, batches)
        step = int(state["step"])
        title = config.recipe
        display = make_display(title, step, config.steps, config.log_every) if first else Silent()
        stack.callback(display.close)
        metrics = Metrics(workdir, config, step, display, find_chip(config, parts, constants))
        stack.callback(metrics.close)
        train_step = make_step(config, parts, placement)
        if profile:
            train_step = stack.enter_context(traced(train_step, workdir / "profile", profile))
        run = Run(
            config=config,
            workdir=workdir,
            parts=parts,
            state=state,
            step=step,
            placement=placement,
            constants=constants,
            train_step=train_step,
            batches=batches,
            checkpoints=checkpoints,
            metrics=metrics,
            display=display,
        )
        with together("beginning"):
            run.held_out = make_held_out(config, parts, placement)
            if first:  # only now, since a mistake found above shall claim nothing
                write_json(workdir / CONFIG, to_dict(config))
        display.say(opening_line(config, parts, machine, workdir, step))
        notify("i1_run_started", workdir=workdir, recipe=config.recipe, step=step)
        status = "failed"
        try:
            yield run
            status = "done"
        except (RunInterruptedError, KeyboardInterrupt):
            status = "interrupted"
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise UserError(
                f"{where}{error.strerror or error}; the run stopped at step {run.step}"
            ) from error
        finally:
            notify("i1_run_finished", workdir=workdir, step=run.step, status=status)


def restore(
    config: TrainConfig,
    parts: Parts,
    placement: Placement,
    key: jax.Array,
    checkpoints: Checkpoints,
    batches: Batches,
) -> State:
    """Returns the newest saved state and moves the data to its position, or what a new run begins with."""
    template = placement.shapes(state_shapes(parts))
    restored = checkpoints.restore(template)
    if restored is None:
        if isinstance(config.start, FromStage):
            new_key = jax.random.key(config.seed)  # a closure may not hold what lives on several hosts
            return next_stage(config.start.workdir, config, template, lambda: init_state(parts, new_key))
        state = jax.jit(lambda key: init_state(parts, key), out_shardings=placement.state)(key)
        return state if config.init_from is None or config.lora.is_on else with_weights(state, config)
    check_base(parts.base, restored.record.get("base"))
    if jax.process_index() == 0:
        for reason in restored.rejected:
            print(f"i1: warning: {reason}; going on from step {restored.record['step']}", file=sys.stderr)
        warn_of_versions(restored.record)
    batches.set_state(restored.record["data"])
    return restored.state


def opening_line(config: TrainConfig, parts: Parts, machine: MachineMesh, workdir: Path, step: int) -> str:
    """Returns what is said before the first step."""
    count = sum(int(np.prod(shape.shape)) for shape in parts.network.shapes.values())
    begin = f"going on after step {step}" if step else "beginning"
    if config.init_from is not None and not step:
        begin = f"beginning from the weights of {config.init_from}"
    return (
        f"{config.recipe}: {count:,} parameters, batch {config.batch_size}, {config.steps} steps on "
        f"{machine}, {begin} in {workdir}"
    )
