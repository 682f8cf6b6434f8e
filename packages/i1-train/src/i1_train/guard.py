"""Steps whose loss is no number, or far too high: what is done about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from i1_hooks import UserError

SPIKE = "guard/spike"
SKIPPED = "guard/skipped"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What happens at a bad step.

    A skipped step leaves parameters, average and optimizer as they were; the step count and the data go on.
    A step that stops the run is not saved, so the last good checkpoint is before it.

    Attributes:
        on_nonfinite: at a loss or gradient that is not finite.
        on_spike: at a loss above `spike_factor` times the running mean of the losses before.
        spike_factor: above 1.
        spike_window: steps that the running mean looks back; no spike is seen in a run's first ones.
    """

    on_nonfinite: Literal["stop", "skip"] = "stop"
    on_spike: Literal["ignore", "stop", "skip"] = "ignore"
    spike_factor: float = 3.0
    spike_window: int = 100

    def __post_init__(self) -> None:
        if self.spike_factor <= 1:
            raise UserError(f"guard.spike_factor must be above 1, got {self.spike_factor}")
        if self.spike_window < 1:
            raise UserError(f"guard.spike_window must be at least 1, got {self.spike_window}")


def guard_step(
    guard: Guard, old: dict[str, Any], new: dict[str, Any], metrics: dict[str, jax.Array]
) -> tuple[dict[str, Any], dict[str, jax.Array]]:
    """Returns the state after a step, the old one where it is skipped, and the metrics with what was found.

    `loss_mean` of the state is m <- d m + (1 - d) min(loss, spike_factor m) with d = 1 - 1 / min(n + 1,
    spike_window) at step n, over finite losses: the plain mean at first, and no spike counts in full.

    Args:
        guard: what to do.
        old: the state before the step.
        new: the state after it, but for `loss_mean`.
        metrics: of the step, at least `loss` and `grad_norm`.
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
        kept = {name: value for name, value in new.items() if name != "step"}
        new = {
            **jax.tree.map(
                lambda before, after: jnp.where(skip, before, after), {k: old[k] for k in kept}, kept
            ),
            "step": new["step"],
        }
    return {**new, "loss_mean": new_mean}, metrics
