"""Solvers that forget the past: Runge-Kutta methods of order 1, 2 and 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from i1_sample.solvers.base import SolverConfig, Velocity


@dataclass(frozen=True, kw_only=True)
class Euler(SolverConfig):
    """Euler's method, `x' = x + h v(x, t)`: order 1, one evaluation; what i1 was published with."""

    order: ClassVar[int] = 1

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Any, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Advances x by one Euler step."""
        return x + (t_next - t) * velocity(x, t), carry


@dataclass(frozen=True, kw_only=True)
class Heun(SolverConfig):
    """Heun's method, `x' = x + h/2 (v(x, t) + v(x + h v, t'))`: order 2, two evaluations."""

    order: ClassVar[int] = 2
    num_evaluations: ClassVar[int] = 2

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Any, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Advances x by one Heun step."""
        h = t_next - t
        start = velocity(x, t)
        end = velocity(x + h * start, t_next)
        return x + (0.5 * h) * (start + end), carry


@dataclass(frozen=True, kw_only=True)
class Midpoint(SolverConfig):
    """The explicit midpoint method, `x' = x + h v(x + h/2 v, t + h/2)`: order 2, two evaluations."""

    order: ClassVar[int] = 2
    num_evaluations: ClassVar[int] = 2

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Any, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Advances x by one midpoint step."""
        h = t_next - t
        return x + h * velocity(x + (0.5 * h) * velocity(x, t), t + 0.5 * h), carry


@dataclass(frozen=True, kw_only=True)
class RungeKutta4(SolverConfig):
    """The classical Runge-Kutta method: order 4, four evaluations."""

    order: ClassVar[int] = 4
    num_evaluations: ClassVar[int] = 4

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Any, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Advances x by one Runge-Kutta step."""
        h = t_next - t
        first = velocity(x, t)
        second = velocity(x + (0.5 * h) * first, t + 0.5 * h)
        third = velocity(x + (0.5 * h) * second, t + 0.5 * h)
        fourth = velocity(x + h * third, t_next)
        return x + (h / 6) * (first + 2 * second + 2 * third + fourth), carry
