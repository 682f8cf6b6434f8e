"""The training loop."""

from __future__ import annotations

import os
from pathlib import Path

from i1_train.config import TrainConfig
from i1_train.process.signals import RunInterruptedError, StopRequest
from i1_train.run import open_run


def train(config: TrainConfig, workdir: str | os.PathLike[str], *, profile: int = 0) -> int:
    """Trains a recipe, or goes on where an earlier call in the same workdir stopped.

    Going on is exact: parameters and losses are bit for bit those of an uninterrupted run on the same
    devices.

    Args:
        config: the recipe.
        workdir: the run's folder; the README of this package says what it holds.
        profile: how many steps to trace into `profile/` of the workdir.

    Returns:
        The number of finished steps, `config.steps`.

    Raises:
        UserError: for a workdir that cannot be written or holds another run, unreadable data, a full disk, a
            device without memory.
        RunInterruptedError: after SIGINT or SIGTERM, once the state is saved.
        BadStepError: for a loss or gradient that is not finite, or a loss spike, where the recipe's `guard`
            does not skip it; nothing is saved.
    """
    with StopRequest() as stop, open_run(config, Path(workdir), profile) as run:
        for step in range(run.step + 1, config.steps + 1):
            batch = run.next_batch()
            run.state, metrics = run.train_step(run.state, run.constants, run.to_device(batch))
            run.finish_step(step, metrics, batch)
            if stopping := stop.at(step):
                raise RunInterruptedError(f"{stopping} at step {step}: saved to {run.save_and_wait()}")
            if run.checkpoint_due():
                run.begin_checkpoint()
            run.announce_checkpoints()
        run.finish()
    return run.step
