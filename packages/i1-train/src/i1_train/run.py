"""A run: everything the loop holds, opened and closed in one place."""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from i1_data.pipeline import Batches, make_batches
from i1_hooks import UserError, get_registry, to_dict
from i1_model.checkpoint import save_model

from i1_train.callbacks import notify
from i1_train.checkpoints import MODEL, Checkpoints
from i1_train.config import TrainConfig
from i1_train.machines import Machine
from i1_train.metrics import Metrics
from i1_train.parts import Parts, build_parts
from i1_train.placement import Placement, find_machine, make_placement, on_machine
from i1_train.progress import Display, make_display
from i1_train.signals import RunInterruptedError
from i1_train.step import Batch, State, TrainStep, init_state, make_step, state_shapes
from i1_train.timing import is_due
from i1_train.workdir import CONFIG, open_workdir, write_json

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


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

    def to_device(self, batch: dict[str, Any]) -> Batch:
        """Starts the transfer of what the step reads; on several hosts each gives its part of the batch."""
        return self.placement.put_batch({"image": batch["image"], "tokens": batch["tokens"]})

    def checkpoint_due(self) -> bool:
        """Says whether the finished step gets a checkpoint."""
        return is_due(self.step, self.config.checkpoint_every, self.config.steps, first=False)

    def save_checkpoint(self) -> Path:
        """Writes the checkpoint of the finished step, with the averaged weights as a model folder.

        Raises:
            UserError: when the disk is full or may not be written.
        """
        record = {"step": self.step, "data": self.batches.get_state(), **versions()}

        def write_extra(folder: Path) -> None:
            write_json(folder / CONFIG, to_dict(self.config))
            averaged = self.parts.network.state({**self.state["params"], **self.state["ema"]})
            save_model(
                folder / MODEL, self.config.model, averaged, metadata=model_metadata(self.config, self.step)
            )

        return self.checkpoints.save(self.step, self.state, record, write_extra)

    def announce_checkpoint(self, folder: Path) -> None:
        """Tells plugins about a checkpoint, and loggers about the pictures that plugins drew with it."""
        notify(
            "i1_checkpoint_saved",
            workdir=self.workdir,
            model=folder / MODEL,
            step=self.step,
            prompts=self.config.preview_prompts,
        )
        self.metrics.log_images(self.step, self.workdir / "samples")
        self.metrics.restart_clock()


@contextlib.contextmanager
def open_run(config: TrainConfig, workdir: Path) -> Iterator[Run]:
    """Opens a new run, or an earlier one at its newest checkpoint; closes it, and tells plugins how it ended.

    Raises:
        UserError: for a workdir or data that do not fit.
    """
    machine = find_machine(config, jax.devices())
    parts = build_parts(on_machine(config, machine))
    with contextlib.ExitStack() as stack:
        workdir = stack.enter_context(open_workdir(workdir, config))
        batches = make_batches(
            config.data,
            batch_size=config.batch_size,
            seed=config.seed,
            tokenize=parts.tokenize,
            host_index=jax.process_index(),
            host_count=jax.process_count(),
        )
        stack.callback(batches.close)
        checkpoints = Checkpoints(
            workdir / "checkpoints", keep=config.keep_checkpoints, keep_every=config.keep_every
        )
        constants = parts.constants(config.seed)
        placement = make_placement(config, parts, state_shapes(parts), constants, machine, jax.devices())
        constants = placement.put_constants(constants)
        state = restore(parts, placement, constants["key"], checkpoints, batches)
        step = int(state["step"])
        display = make_display(config.recipe, step, config.steps, config.log_every)
        stack.callback(display.close)
        metrics = Metrics(workdir, config, step, display)
        stack.callback(metrics.close)
        write_json(
            workdir / CONFIG, to_dict(config)
        )  # only now, since a mistake found above shall claim nothing
        display.say(opening_line(config, parts, machine, workdir, step))
        run = Run(
            config=config,
            workdir=workdir,
            parts=parts,
            state=state,
            step=step,
            placement=placement,
            constants=constants,
            train_step=make_step(config, parts, placement),
            batches=batches,
            checkpoints=checkpoints,
            metrics=metrics,
            display=display,
        )
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
    parts: Parts, placement: Placement, key: jax.Array, checkpoints: Checkpoints, batches: Batches
) -> State:
    """Returns the newest saved state and moves the data to its position, or the initial state."""
    init = jax.jit(lambda key: init_state(parts, key), out_shardings=placement.state)
    restored = checkpoints.restore(placement.shapes(state_shapes(parts)))
    if restored is None:
        return init(key)
    for reason in restored.rejected:
        print(f"i1: warning: {reason}; going on from step {restored.record['step']}", file=sys.stderr)
    warn_of_versions(restored.record)
    batches.set_state(restored.record["data"])
    return restored.state


def versions() -> dict[str, dict[str, str]]:
    """Returns the installed plugins and libraries with their versions."""
    return {
        "plugins": get_registry().installed(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def warn_of_versions(record: dict[str, Any]) -> None:
    """Says when a checkpoint was written with other plugins or libraries than those installed now."""
    now = versions()
    changed = [
        f"{name} {version} -> {now[kind].get(name, 'absent')}"
        for kind in now
        for name, version in record.get(kind, {}).items()
        if now[kind].get(name) != version
    ]
    if changed:
        print(
            f"i1: warning: resuming with other versions, so not exactly: {', '.join(changed)}",
            file=sys.stderr,
        )


def model_metadata(config: TrainConfig, step: int) -> dict[str, Any]:
    """Returns what a model folder says about how it was made."""
    return {
        "step": step,
        "recipe": config.recipe,
        "preview_prompts": list(config.preview_prompts),
        "sampling": to_dict(config.sampling),
    }


def opening_line(config: TrainConfig, parts: Parts, machine: Machine, workdir: Path, step: int) -> str:
    """Returns what is said before the first step."""
    count = sum(int(np.prod(shape.shape)) for shape in parts.network.shapes.values())
    begin = f"going on after step {step}" if step else "beginning"
    return (
        f"{config.recipe}: {count:,} parameters, batch {config.batch_size}, {config.steps} steps on "
        f"{machine}, {begin} in {workdir}"
    )
