"""The learning rate at each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from i1_hooks import ComponentConfig, UserError
from jaxtyping import Array, Float

Schedule = Callable[[Any], Float[Array, ""]]
"""From the number of finished steps (int32 scalar) to the learning rate (float32 scalar); pure."""


class ScheduleConfig(ComponentConfig, kind="schedules"):
    """Base of every schedule's configuration."""

    def build(self, steps: int) -> Schedule:
        """Returns the schedule of a run of `steps` steps."""
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")


@dataclass(frozen=True, kw_only=True)
class Constant(ScheduleConfig):
    """A constant learning rate, with an optional linear warm-up.

    Attributes:
        lr: the learning rate; the default is the published one.
        warmup: number of warm-up steps; step n of them has the rate lr * n / warmup.
    """

    lr: float = 1e-4
    warmup: int = 0

    def __post_init__(self) -> None:
        _check(self.lr, warmup=self.warmup)

    def build(self, steps: int) -> Schedule:
        """Returns the schedule, which does not depend on the length of the run."""
        del steps
        return lambda step: self.lr * _rise(step, self.warmup)


@dataclass(frozen=True, kw_only=True)
class WarmupCosine(ScheduleConfig):
    """Linear warm-up, then half a cosine down to a final value at the end of the run (arXiv 1608.03983).

    Attributes:
        lr: the highest learning rate.
        warmup: number of warm-up steps, in which the rate rises linearly from 0.
        final_lr: the learning rate at the end.
    """

    lr: float = 1e-4
    warmup: int = 1000
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        _check(self.lr, warmup=self.warmup)

    def build(self, steps: int) -> Schedule:
        """Returns the schedule.

        Raises:
            UserError: when the warm-up is longer than the run.
        """
        _check_length(steps, warmup=self.warmup)
        length = max(1, steps - self.warmup)

        def schedule(step: jax.Array) -> jax.Array:
            done = jnp.clip((step.astype(jnp.float32) - self.warmup) / length, 0.0, 1.0)
            cosine = 0.5 * (1.0 + jnp.cos(math.pi * done))
            return _rise(step, self.warmup) * (self.final_lr + (self.lr - self.final_lr) * cosine)

        return schedule


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(ScheduleConfig):
    """Linear warm-up, a constant middle, and a linear decay at the end (arXiv 2404.06395).

    Attributes:
        lr: the learning rate of the middle.
        warmup: number of warm-up steps, in which the rate rises linearly from 0; a shorter run ends in them.
        decay: fraction of the run, 0 to 1, that the final linear decay takes.
        final_lr: the learning rate at the end.
    """

    lr: float = 1e-4
    warmup: int = 1000
    decay: float = 0.2
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        _check(self.lr, warmup=self.warmup)
        if not 0 <= self.decay <= 1:
            raise UserError(f"schedule: decay is a fraction of the run from 0 to 1, got {self.decay}")

    def build(self, steps: int) -> Schedule:
        """Returns the schedule."""
        tail = max(1.0, self.decay * steps)

        def schedule(step: jax.Array) -> jax.Array:
            left = jnp.clip((steps - step.astype(jnp.float32)) / tail, 0.0, 1.0)
            return _rise(step, self.warmup) * (self.final_lr + (self.lr - self.final_lr) * left)

        return schedule


@dataclass(frozen=True, kw_only=True)
class WarmRestart(ScheduleConfig):
    """One schedule, then another that starts at its own step 0 (as in arXiv 1608.03983).

    Attributes:
        first: the schedule of the first part of the run.
        share: fraction of the run, above 0 and below 1, that is the first part; rounded to whole steps.
        then: the schedule of the rest of the run.
    """

    first: ScheduleConfig = field(default_factory=WarmupStableDecay)
    share: float = 0.5
    then: ScheduleConfig = field(default_factory=WarmupStableDecay)

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(f"schedule: share is a fraction of the run above 0 and below 1, got {self.share}")

    def build(self, steps: int) -> Schedule:
        """Returns the schedule.

        Raises:
            UserError: when a part is too short for its schedule.
        """
        start = round(self.share * steps)
        first, then = self.first.build(start), self.then.build(steps - start)
        return lambda step: jnp.where(step < start, first(step), then(jnp.maximum(step - start, 0)))


def _rise(step: jax.Array, warmup: int) -> jax.Array:
    return jnp.minimum(1.0, (step.astype(jnp.float32) + 1.0) / max(1, warmup))


def _check(lr: float, **lengths: int) -> None:
    if lr <= 0:
        raise UserError(f"schedule: lr must be above 0, got {lr}")
    for name, length in lengths.items():
        if length < 0:
            raise UserError(f"schedule: {name} must be 0 or more steps, got {length}")


def _check_length(steps: int, **lengths: int) -> None:
    if sum(lengths.values()) > steps:
        parts = " + ".join(f"{name} {length}" for name, length in lengths.items())
        raise UserError(
            f"schedule: {parts} steps do not fit into a run of {steps} steps; shorten them or raise steps"
        )
