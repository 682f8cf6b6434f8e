"""What happens at a bad step: one whose loss or gradient is not finite, or whose loss is far too high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import jax
import jax.numpy as jnp
from i1_hooks import UserError

from i1_train.checks import require_at_least
from i1_train.state import State, StepMetrics

SPIKE = "guard/spike"
SKIPPED = "guard/skipped"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What happens at a bad step.

    A skipped step leaves parameters, average and optimizer unchanged, and the run continues with the next
    batch. A step that stops the run is not saved, so the last checkpoint is from before it.

    Attributes:
        on_nonfinite: what happens when the loss or the gradient is not finite.
        on_spike: what happens when the loss is above `spike_factor` times the running mean of earlier losses.
        spike_factor: how far above the running mean a spike is; above 1.
        spike_window: number of steps the running mean covers; the first that many steps of a run are never
            spikes.
    """

    on_nonfinite: Literal["stop", "skip"] = "stop"
    on_spike: Literal["ignore", "stop", "skip"] = "ignore"
    spike_factor: float = 3.0
    spike_window: int = 100

    def __post_init__(self) -> None:
        if self.spike_factor <= 1:
            raise UserError(f"guard.spike_factor must be above 1, got {self.spike_factor}")
        require_at_least(1, self, ("spike_window",), "guard.")


def guard_step(guard: Guard, old: State, new: State, metrics: StepMetrics) -> tuple[State, StepMetrics]:
    """Returns the state after a step and its metrics; the old state, but for the step count, if it is
    skipped.

    `loss_mean` of the state is m <- d m + (1 - d) min(loss, spike_factor m) with d = 1 - 1 / min(n + 1,
    spike_window) at step n, over finite losses. So it starts as the plain mean, and a spike moves it only as
    far as the largest loss that is not a spike.

    Args:
        guard: what to do at a bad step.
        old: the state before the step.
        new: the state after it, with the `loss_mean` of before.
        metrics: metrics of the step, at least `loss` and `grad_norm`.
    """
    loss, mean = metrics["loss"], old["loss_mean"]
    finite = jnp.isfinite(loss) & jnp.isfinite(metrics["grad_norm"])
    warm = old["step"] >= guard.spike_window
    spike = finite & warm & (loss > guard.spike_factor * mean)
    decay = 1 - 1 / jnp.minimum(old["step"] + 1, guard.spike_window).astype(jnp.float32)
    limited = jnp.where(warm, jnp.minimum(loss, guard.spike_factor * mean), loss)
    new_mean = jnp.where(finite, decay * mean + (1 - decay) * limited, mean)

    skips = []
    if guard.on_nonfinite == "skip":
        skips.append(~finite)
    if guard.on_spike == "skip":
        skips.append(spike)
    if guard.on_spike != "ignore":
        metrics = {**metrics, SPIKE: spike.astype(jnp.float32)}
    if skips:
        skip = jnp.stack(skips).any()
        metrics = {**metrics, SKIPPED: skip.astype(jnp.float32)}
        new = {**_choose(skip, old, new), "step": new["step"]}
    return {**new, "loss_mean": new_mean}, metrics


def _choose(skip: jax.Array, old: State, new: State) -> State:
    """Returns the old arrays where `skip` holds, else the new ones, without the step count."""
    kept = {name: value for name, value in new.items() if name != "step"}
    before = {name: value for name, value in old.items() if name in kept}
    return cast("State", jax.tree.map(lambda was, now: jnp.where(skip, was, now), before, kept))
