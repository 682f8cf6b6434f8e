"""Opening a run, new or at its newest checkpoint, and closing it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from i1_data.pipeline import Batches, make_batches
from i1_hooks import UserError, override, to_dict
from i1_hooks.config import check_round_trip
from i1_hooks.text import one_line
from i1_model.ops.devices import find_devices

from i1_train.callbacks import notify
from i1_train.checkpoints.manager import Checkpoints
from i1_train.checkpoints.provenance import installed_versions, warn_of_other_versions
from i1_train.checkpoints.warm_start import next_stage
from i1_train.checkpoints.weights import read_weights, with_weights
from i1_train.config import FromStage, TrainConfig
from i1_train.devices.agreement import check_same_on_all_hosts, fail_together
from i1_train.devices.machines import MachineMesh
from i1_train.devices.mesh import Device
from i1_train.devices.placement import Placement, find_machine, make_placement
from i1_train.evaluation import make_evaluation
from i1_train.flops import step_flops
from i1_train.loggers.group import LoggerGroup, NoLogger
from i1_train.lora import check_base
from i1_train.memory_settings import memory_settings
from i1_train.monitoring.bad_steps import BadSteps
from i1_train.monitoring.metrics import Metrics
from i1_train.monitoring.profiling import profile_steps
from i1_train.monitoring.progress import Display, NoDisplay, make_display
from i1_train.monitoring.utilisation import find_utilisation
from i1_train.parts import Parts, build_parts
from i1_train.process.out_of_memory import explain_oom
from i1_train.process.signals import RunInterruptedError
from i1_train.run import Run
from i1_train.state import Constants, State
from i1_train.step import init_params, init_state, make_step, state_shapes
from i1_train.workdir import check_shared, claim, open_workdir


@contextlib.contextmanager
def open_run(config: TrainConfig, workdir: Path, profile: int = 0) -> Iterator[Run]:
    """Opens a new run, or an earlier one at its newest checkpoint; closes it, and tells plugins how it ended.

    Args:
        config: the recipe.
        workdir: workdir of the run.
        profile: number of steps to trace.

    Raises:
        UserError: for a workdir or data that do not fit, a full disk, or a device without memory.
    """
    check_same_on_all_hosts("recipe", to_dict(config))
    check_same_on_all_hosts("installation", installed_versions())
    with contextlib.ExitStack() as stack:
        with fail_together("preparation"):
            check_round_trip(config)
            devices = find_devices()
            machine = find_machine(config.hardware, devices, config.batch_size, config.grad_accumulation)
            parts = build_parts(override(config, machine.settings))
            first = jax.process_index() == 0
            stack.enter_context(open_workdir(workdir, config, first=first))
            constants = parts.constants(config.seed)
            placement = place(config, parts, machine, devices, constants)
            batches = open_data(config, parts, placement)
            stack.callback(batches.close)
        check_shared(workdir)
        check_same_on_all_hosts("data", batches.get_state())
        checkpoints = stack.enter_context(Checkpoints(workdir, config.checkpoints))
        stack.enter_context(explain_memory(config, parts, constants))
        constants = placement.put_constants(constants)
        state = restore(config, parts, placement, constants["key"], checkpoints, batches)
        step = int(state["step"])
        display = open_display(stack, config, step)
        train_step = make_step(config, parts, placement)
        if profile:
            train_step = stack.enter_context(profile_steps(train_step, workdir / "profile", profile))
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
            metrics=open_metrics(stack, config, workdir, step, display, parts, constants),
            display=display,
        )
        with fail_together("start"):
            run.evaluation = make_evaluation(config, parts, placement)
            if first:
                claim(workdir, config)  # last, so that a mistake found above leaves the workdir unclaimed
        display.say(opening_line(config, parts, machine, workdir, step))
        stack.enter_context(notify_of_run(run))
        yield run


def place(
    config: TrainConfig, parts: Parts, machine: MachineMesh, devices: list[Device], constants: Constants
) -> Placement:
    """Returns the sharding of everything in a run."""
    return make_placement(
        machine,
        devices,
        rules=config.hardware.sharding,
        shapes=parts.network.shapes,
        state=state_shapes(parts),
        constants=constants,
        batch_size=config.batch_size,
    )


def open_data(config: TrainConfig, parts: Parts, placement: Placement) -> Batches:
    """Opens the training data at its first batch."""
    return make_batches(
        config.data,
        batch_size=config.batch_size,
        seed=config.seed,
        tokenize=parts.tokenize,
        rows=placement.rows,
    )


def open_display(stack: contextlib.ExitStack, config: TrainConfig, step: int) -> Display:
    """Opens the progress display, which the first host has."""
    if jax.process_index():
        return NoDisplay()
    display = make_display(config.recipe, step, config.steps, config.log_every)
    stack.callback(display.close)
    return display


def open_metrics(
    stack: contextlib.ExitStack,
    config: TrainConfig,
    workdir: Path,
    step: int,
    display: Display,
    parts: Parts,
    constants: Constants,
) -> Metrics:
    """Opens the loggers, which the first host has, and the metrics that are passed to them."""
    host = jax.process_index()
    metrics = Metrics(
        NoLogger() if host else LoggerGroup(config.loggers, workdir, step),
        BadSteps(workdir, step, host),
        display,
        batch_size=config.batch_size,
        utilisation=find_utilisation(lambda: step_flops(config, parts, constants)),
    )
    stack.callback(metrics.close)
    return metrics


def explain_memory(
    config: TrainConfig, parts: Parts, constants: Constants
) -> contextlib.AbstractContextManager[None]:
    """Returns the context that explains a device without memory in terms of this run."""
    state = state_shapes(parts)
    held: Constants = jax.eval_shape(lambda: constants)
    return explain_oom(
        {
            "parameters": state["params"],
            "average": state["ema"],
            "optimizer": state["opt"],
            "text encoders and autoencoder": [held["text"], held["autoencoder"]],
            "frozen weights below LoRA": held["base"],
        },
        config.batch_size // config.grad_accumulation,
        memory_settings(config),
    )


def restore(
    config: TrainConfig,
    parts: Parts,
    placement: Placement,
    key: jax.Array,
    checkpoints: Checkpoints,
    batches: Batches,
) -> State:
    """Returns the newest saved state and moves the data to its position, or the state that a new run has."""
    template = placement.shapes(state_shapes(parts))
    restored = checkpoints.restore(template)
    if restored is None:
        return initial_state(config, parts, placement, key, template)
    check_base(parts.base, restored.record.get("base"))
    if jax.process_index() == 0:
        for reason in restored.rejected:
            text = one_line(f"{reason}; resuming from step {int(restored.state['step'])}")
            print(f"i1: warning: {text}", file=sys.stderr)
        record = restored.record
        warn_of_other_versions(
            {"plugins": record.get("plugins", {}), "libraries": record.get("libraries", {})}
        )
    batches.set_state(restored.record.get("data", {}))
    return restored.state


def initial_state(
    config: TrainConfig, parts: Parts, placement: Placement, key: jax.Array, template: State
) -> State:
    """Returns the state of a new run: of an earlier stage, of trained weights, or with random parameters."""
    if isinstance(config.start, FromStage):
        new_key = jax.random.key(config.seed)  # a closure must not hold an array that spans several hosts
        return next_stage(config.start.workdir, template, lambda: init_params(parts, new_key), config.steps)
    state = jax.jit(lambda key: init_state(parts, key), out_shardings=placement.state)(key)
    if config.init_from is None or config.lora.is_on:
        return state
    return with_weights(state, read_weights(config.init_from, config.model, config.lora))


@contextlib.contextmanager
def notify_of_run(run: Run) -> Iterator[None]:
    """Tells plugins when a run starts, and how it ends.

    Raises:
        UserError: in place of an error of the operating system.
    """
    notify("i1_run_started", workdir=run.workdir, recipe=run.config.recipe, step=run.step)
    status = "failed"
    try:
        yield
        status = "done"
    except (RunInterruptedError, KeyboardInterrupt):
        status = "interrupted"
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UserError(f"{where}{error.strerror or error}; the run stopped at step {run.step}") from error
    finally:
        notify("i1_run_finished", workdir=run.workdir, step=run.step, status=status)


def opening_line(config: TrainConfig, parts: Parts, machine: MachineMesh, workdir: Path, step: int) -> str:
    """Returns what is printed before the first step."""
    count = sum(int(np.prod(shape.shape)) for shape in parts.network.shapes.values())
    begin = f"resuming after step {step}" if step else "starting"
    if config.init_from is not None and not step:
        begin = f"starting from the weights of {config.init_from}"
    return (
        f"{config.recipe}: {count:,} parameters, batch {config.batch_size}, {config.steps} steps on "
        f"{machine}, {begin} in {workdir}"
    )
