"""Solvers that reuse earlier evaluations: one evaluation per step, on any grid of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from i1_sample.solvers.base import SolverConfig, Velocity

Carry = tuple[jax.Array, ...]


@dataclass(frozen=True, kw_only=True)
class AdamsBashforth2(SolverConfig):
    """Adams-Bashforth of order 2: integrates the line through the last two velocities.

    `x' = x + h (v_n + h / (2 h_prev) (v_n - v_prev))`; the first step is Euler's.
    """

    order: ClassVar[int] = 2

    def init(self, x: jax.Array) -> Carry:
        """Returns the previous velocity and the previous step's length, 0 before the first step."""
        return jnp.zeros_like(x), jnp.zeros((), x.dtype)

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Carry, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Carry]:
        """Advances x by one step."""
        before, h_before = carry
        h = t_next - t
        now = velocity(x, t)
        slope = _divided(now - before, h_before)
        return x + h * (now + (0.5 * h) * slope), (now, h)


@dataclass(frozen=True, kw_only=True)
class AdamsBashforth3(SolverConfig):
    """Adams-Bashforth of order 3: integrates the parabola through the last three velocities.

    The first step is Heun's (two evaluations) and the second is of order 2, which keeps the global order.
    """

    order: ClassVar[int] = 3

    def init(self, x: jax.Array) -> Carry:
        """Returns the last two velocities and step lengths, newest first, 0 where there are none."""
        none = jnp.zeros((), x.dtype)
        return jnp.zeros_like(x), jnp.zeros_like(x), none, none

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Carry, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Carry]:
        """Advances x by one step."""
        before, earlier, h_before, h_earlier = carry
        h = t_next - t
        now = velocity(x, t)

        def heun() -> jax.Array:
            return x + (0.5 * h) * (now + velocity(x + h * now, t_next))

        def multistep() -> jax.Array:
            # Newton's form through t, t - a, t - a - b, integrated from 0 to h in s = time - t:
            # v + s d1 + s (s + a) d2.
            d1 = _divided(now - before, h_before)
            d1_before = _divided(before - earlier, h_earlier)
            d2 = jnp.where(h_earlier > 0, _divided(d1 - d1_before, h_before + h_earlier), 0.0)
            return x + h * (now + (h / 2) * d1 + (h * h / 3 + h_before * h / 2) * d2)

        x_next = jax.lax.cond(h_before > 0, multistep, heun)
        return x_next, (now, before, h, h_before)


@dataclass(frozen=True, kw_only=True)
class DPMSolverPP2M(SolverConfig):
    """DPM-Solver++(2M) written for flow matching: order 2, one evaluation.

    With the data prediction `D = x + (1 - t) v` and `s = -log(1 - t)` the ODE reads `dx/ds = D - x`, whose
    linear part is integrated exactly: `x' = e^-h x + (1 - e^-h) (D + (D - D_prev) h / (2 h_prev))`, h a step
    in s. The first and the last step (to t = 1, where h is infinite) are of order 1, and steps of equal
    length in t near the data cost a factor log(1 / h): the error is O(h^2 log(1 / h)) up to t = 1.
    https://arxiv.org/abs/2211.01095
    """

    order: ClassVar[int] = 2

    def init(self, x: jax.Array) -> Carry:
        """Returns the previous data prediction and the previous step in s, 0 before the first step."""
        return jnp.zeros_like(x), jnp.zeros((), x.dtype)

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Carry, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Carry]:
        """Advances x by one step."""
        before, h_before = carry
        data = x + (1 - t) * velocity(x, t)
        decay = (1 - t_next) / (1 - t)  # e^-h, and 0 at the last step
        is_last = decay <= 0
        h = -jnp.log(jnp.where(is_last, 1.0, decay))
        extrapolated = data + jnp.where(is_last, 0.0, 0.5 * h) * _divided(data - before, h_before)
        return decay * x + (1 - decay) * extrapolated, (data, h)


def _divided(difference: jax.Array, length: jax.Array) -> jax.Array:
    """Returns difference / length, or 0 where there is no earlier step (length 0)."""
    return jnp.where(length > 0, difference / jnp.where(length > 0, length, 1.0), 0.0)
