"""A trace of a few steps, for XProf and Perfetto."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax

from i1_train.state import Batch, Constants, State, StepMetrics, TrainStep

FIRST = 3
"""The first step of the process that is traced; by then compilation is over and buffers are full."""


@contextlib.contextmanager
def profile_steps(train_step: TrainStep, folder: Path, num_steps: int) -> Iterator[TrainStep]:
    """Yields a step that traces its calls `FIRST` to `FIRST + num_steps - 1` into a folder.

    If the block ends during the trace, what there is of it is written. Look at it with `xprof FOLDER`, or
    open `*.trace.json.gz` below it at https://ui.perfetto.dev.

    Args:
        train_step: the step.
        folder: where the trace is written; created when absent.
        num_steps: number of steps to trace, at least 1.
    """
    calls, tracing = 0, False

    def stop() -> None:
        nonlocal tracing
        tracing = False
        jax.profiler.stop_trace()

    def step(state: State, constants: Constants, batch: Batch) -> tuple[State, StepMetrics]:
        nonlocal calls, tracing
        calls += 1
        if not FIRST <= calls < FIRST + num_steps:
            return train_step(state, constants, batch)
        if calls == FIRST:
            jax.block_until_ready(state)
            jax.profiler.start_trace(folder)
            tracing = True
        with jax.profiler.StepTraceAnnotation("train", step_num=calls):
            result = train_step(state, constants, batch)
        if calls == FIRST + num_steps - 1:
            jax.block_until_ready(result)
            stop()
        return result

    try:
        yield step
    finally:
        if tracing:
            stop()
