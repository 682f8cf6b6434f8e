"""Solvers that forget the past: Runge-Kutta methods of order 1, 2, 4 and 5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from i1_sample.shapes import Scalar, State
from i1_sample.solvers.base import SolverConfig, Velocity


@dataclass(frozen=True, kw_only=True)
class Euler(SolverConfig):
    """Euler's method, `x' = x + h v(x, t)`: order 1, one evaluation; what i1 was published with."""

    order: ClassVar[int] = 1

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
        """Advances x by one Euler step."""
        return x + (t_next - t) * velocity(x, t), carry


@dataclass(frozen=True, kw_only=True)
class Heun(SolverConfig):
    """Heun's method, `x' = x + h/2 (v(x, t) + v(x + h v, t'))`: order 2, two evaluations."""

    order: ClassVar[int] = 2
    num_evaluations: ClassVar[int] = 2

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
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

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
        """Advances x by one midpoint step."""
        h = t_next - t
        return x + h * velocity(x + (0.5 * h) * velocity(x, t), t + 0.5 * h), carry


@dataclass(frozen=True, kw_only=True)
class RungeKutta4(SolverConfig):
    """The classical Runge-Kutta method: order 4, four evaluations."""

    order: ClassVar[int] = 4
    num_evaluations: ClassVar[int] = 4

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
        """Advances x by one Runge-Kutta step."""
        h = t_next - t
        first = velocity(x, t)
        second = velocity(x + (0.5 * h) * first, t + 0.5 * h)
        third = velocity(x + (0.5 * h) * second, t + 0.5 * h)
        fourth = velocity(x + h * third, t_next)
        return x + (h / 6) * (first + 2 * second + 2 * third + fourth), carry


@dataclass(frozen=True, kw_only=True)
class DormandPrince5(SolverConfig):
    """The method of order 5 by Dormand and Prince, six evaluations, with the steps of the time grid.

    Its error estimate is not used: a step that is adapted to the worst row of a batch would make a picture
    depend on its batch. https://doi.org/10.1016/0771-050X(80)90013-3
    """

    order: ClassVar[int] = 5
    num_evaluations: ClassVar[int] = 6

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
        """Advances x by one step."""
        h = t_next - t
        slopes: list[State] = []
        for node, weights in zip(_NODES, _STAGES, strict=True):
            slopes.append(velocity(x + h * _weighted(weights, slopes), t + node * h))
        return x + h * _weighted(_WEIGHTS, slopes), carry


_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)


def _weighted(weights: tuple[float, ...], slopes: list[State]) -> State | float:
    return sum((w * slope for w, slope in zip(weights, slopes, strict=True) if w), start=0.0)
