"""The training loop."""

from __future__ import annotations

import os

from i1_hooks.files import user_path

from i1_train.config import TrainConfig
from i1_train.opening import open_run
from i1_train.process.signals import RunInterruptedError, StopRequest, survive_closed_output


def train(config: TrainConfig, workdir: str | os.PathLike[str], *, profile: int = 0) -> int:
    """Trains a recipe, or resumes it where an earlier call in the same workdir stopped.

    Resuming is exact: on the same devices, parameters and losses are bit for bit those of an uninterrupted
    run.

    Args:
        config: the recipe.
        workdir: workdir of the run; `~` is expanded.
        profile: number of steps to trace into the folder `profile` of the workdir.

    Returns:
        The number of finished steps, `config.steps`.

    Raises:
        UserError: for a workdir that cannot be written or holds another run, unreadable data, a full disk, or
            a device without memory.
        RunInterruptedError: after SIGINT, SIGTERM, SIGHUP or a closed output, once the state is saved.
        BadStepError: for a loss or gradient that is not finite, or a loss spike, unless the recipe's `guard`
            skips it; nothing is saved then.
    """
    with (
        StopRequest() as stop,
        survive_closed_output(lambda: stop.request("closed output")),
        open_run(config, user_path(workdir), profile) as run,
    ):
        for step in range(run.step + 1, config.steps + 1):
            batch = run.next_batch()
            run.state, metrics = run.train_step(run.state, run.constants, run.to_device(batch))
            run.step = step
            if run.evaluation_due():
                metrics = {**metrics, **run.evaluate()}
            run.log(metrics, batch)
            if reason := stop.at(step):
                raise RunInterruptedError(f"{reason} at step {step}: saved to {run.save_and_wait()}")
            if run.checkpoint_due():
                run.begin_checkpoint()
            run.announce_checkpoints()
        run.finish()
    return run.step
