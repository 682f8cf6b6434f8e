"""Solvers that reuse earlier evaluations: one evaluation per step, on any grid of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from i1_sample.shapes import Scalar, State
from i1_sample.solvers.base import SolverConfig, Velocity

Carry = tuple[Array, ...]
_SMALLEST_DECAY = 1e-6
"""Below this a step reaches the data; rounding may leave a path a little short of its end."""


@dataclass(frozen=True, kw_only=True)
class AdamsBashforth2(SolverConfig):
    """Adams-Bashforth of order 2: integrates the line through the last two velocities.

    `x' = x + h (v_n + h / (2 h_prev) (v_n - v_prev))`; the first step is Euler's.
    """

    order: ClassVar[int] = 2

    def init(self, x: State) -> Carry:
        """Returns the previous velocity and the previous step's length, 0 before the first step."""
        return jnp.zeros_like(x), jnp.zeros((), x.dtype)

    def step(
        self, velocity: Velocity, x: State, carry: Carry, t: Scalar, t_next: Scalar
    ) -> tuple[State, Carry]:
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

    def init(self, x: State) -> Carry:
        """Returns the last two velocities and step lengths, newest first, 0 where there are none."""
        none = jnp.zeros((), x.dtype)
        return jnp.zeros_like(x), jnp.zeros_like(x), none, none

    def step(
        self, velocity: Velocity, x: State, carry: Carry, t: Scalar, t_next: Scalar
    ) -> tuple[State, Carry]:
        """Advances x by one step."""
        before, earlier, h_before, h_earlier = carry
        h = t_next - t
        now = velocity(x, t)

        def heun() -> Array:
            return x + (0.5 * h) * (now + velocity(x + h * now, t_next))

        def multistep() -> Array:
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

    Where the path is straight, in y = x / c and the time u (see `Velocity.straighten`), the data D expected
    at a point and `s = -log(1 - u)` turn the ODE into `dy/ds = D - y`, whose linear part is integrated
    exactly: `y' = e^-h y + (1 - e^-h) (D + (D - D_prev) h / (2 h_prev))`, h a step in s. The first and the
    last step (to u = 1, where h is infinite) are of order 1, and steps of equal length in u near the data
    cost a factor log(1 / h): the error is O(h^2 log(1 / h)) up to u = 1.
    https://arxiv.org/abs/2211.01095
    """

    order: ClassVar[int] = 2

    def init(self, x: State) -> Carry:
        """Returns the previous data prediction and the previous step in s, 0 before the first step."""
        return jnp.zeros_like(x), jnp.zeros((), x.dtype)

    def step(
        self, velocity: Velocity, x: State, carry: Carry, t: Scalar, t_next: Scalar
    ) -> tuple[State, Carry]:
        """Advances x by one step."""
        before, h_before = carry
        data, _ = velocity.split(x, velocity(x, t), t)
        (c, u), (c_next, u_next) = velocity.straighten(t), velocity.straighten(t_next)
        decay = (1 - u_next) / (1 - u)  # e^-h, and 0 at the last step
        is_last = decay < _SMALLEST_DECAY
        h = -jnp.log(jnp.where(is_last, 1.0, decay))
        extrapolated = data + jnp.where(is_last, 0.0, 0.5 * h) * _divided(data - before, h_before)
        return (decay * (x / c) + (1 - decay) * extrapolated) * c_next, (data, h)


@dataclass(frozen=True, kw_only=True)
class UniPC(SolverConfig):
    """The predictor-corrector UniPC on data predictions: order 3, one evaluation.

    In the coordinates of `DPMSolverPP2M`, `y(s + h) = e^-h y + int_0^h e^(r - h) D(s + r) dr`. The predictor
    integrates the line through the last two data predictions. Once the data have been predicted at the new
    point, the corrector integrates the parabola through the last three from the point before, and the next
    step starts from its result. The last step (to u = 1) is of order 1 and is not corrected.
    https://arxiv.org/abs/2302.04867
    """

    order: ClassVar[int] = 3

    def init(self, x: State) -> Carry:
        """Returns y, the data and the data before them, the last two steps in s; 0 before the first step."""
        none = jnp.zeros((), x.dtype)
        return jnp.zeros_like(x), jnp.zeros_like(x), jnp.zeros_like(x), none, none

    def step(
        self, velocity: Velocity, x: State, carry: Carry, t: Scalar, t_next: Scalar
    ) -> tuple[State, Carry]:
        """Advances x by one step."""
        y_before, before, earlier, h_before, h_earlier = carry
        data, _ = velocity.split(x, velocity(x, t), t)
        (c, u), (c_next, u_next) = velocity.straighten(t), velocity.straighten(t_next)
        slope = _divided(data - before, h_before)

        line, parabola = _moments(h_before)
        bend = _divided(slope - _divided(before - earlier, h_earlier), h_before + h_earlier)
        bend = jnp.where(h_earlier > 0, bend, 0.0)
        corrected = jnp.exp(-h_before) * y_before - jnp.expm1(-h_before) * before
        corrected = corrected + line * slope + (parabola - h_before * line) * bend
        y = jnp.where(h_before > 0, corrected, x / c)

        decay = (1 - u_next) / (1 - u)  # e^-h, and 0 at the last step
        is_last = decay < _SMALLEST_DECAY
        h = -jnp.log(jnp.where(is_last, 1.0, decay))
        y_next = decay * y + (1 - decay) * data + jnp.where(is_last, 0.0, _moments(h)[0]) * slope
        return y_next * c_next, (y, data, before, h, h_before)


def _moments(h: Scalar) -> tuple[Scalar, Scalar]:
    """Returns the integrals of `e^(r - h) r` and `e^(r - h) r^2` over r from 0 to h."""
    first = h + jnp.expm1(-h)
    return first, h * h - 2 * first


def _divided(difference: Array, length: Scalar) -> Array:
    """Returns difference / length, or 0 where there is no earlier step (length 0)."""
    return jnp.where(length > 0, difference / jnp.where(length > 0, length, 1.0), 0.0)
