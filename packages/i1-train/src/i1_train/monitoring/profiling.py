"""A trace of a few steps, for XProf and Perfetto."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from i1_train.step import TrainStep

FIRST = 3
"""The step of the process that the trace begins with; compilation and filling of buffers are over then."""


@contextlib.contextmanager
def traced(train_step: TrainStep, folder: Path, num_steps: int) -> Iterator[TrainStep]:
    """Offers a step that traces its calls `FIRST` to `FIRST + num_steps - 1` into a folder.

    A trace that is going on when the block ends is written too. Look at it with `xprof FOLDER`, or open
    `*.trace.json.gz` below it at https://ui.perfetto.dev.

    Args:
        train_step: the step.
        folder: made when absent.
        num_steps: length of the trace, at least 1.
    """
    calls, tracing = 0, False

    def stop() -> None:
        nonlocal tracing
        tracing = False
        jax.profiler.stop_trace()

    def step(state: Any, constants: Any, batch: Any) -> Any:
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
