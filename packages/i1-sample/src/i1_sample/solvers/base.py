"""What a solver is: a pure step along the sampling ODE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from i1_hooks import ComponentConfig

if TYPE_CHECKING:
    from i1_model.flow import FlowConfig

    from i1_sample.shapes import Scalar, State


@dataclass(frozen=True)
class Velocity:
    """The right-hand side of the sampling ODE, `dx/dt = v(x, t)`, with the path that it belongs to.

    Attributes:
        function: v; x (B, ...) and a scalar time give dx/dt, shaped like x.
        flow: the path from noise to data.
    """

    function: Callable[[State, Scalar], State]
    flow: FlowConfig

    def __call__(self, x: State, t: Scalar) -> State:
        """Returns dx/dt."""
        return self.function(x, t)

    def split(self, x: State, velocity: State, t: Scalar) -> tuple[State, State]:
        """Returns the data and the noise that a point and its velocity stand for."""
        return self.flow.split(x, velocity, t)

    def join(self, data: State, noise: State, t: Scalar) -> State:
        """Returns the point of the path between noise and data."""
        return self.flow.join(data, noise, t)

    def straighten(self, t: Scalar) -> tuple[Scalar, Scalar]:
        """Returns the factor c and the time u in which the path is straight.

        There `x / c = (1 - u) noise + u data`. On a straight path c is 1 and u is t.
        """
        return self.flow.straighten(t)


class SolverConfig(ComponentConfig, kind="solvers"):
    """Base of every solver; the configuration is the solver.

    A solver that draws random numbers takes its keys from the noise it starts from, in `init`, so that a
    picture depends on its seed and index alone.

    Attributes:
        order: global order of convergence on a smooth ODE, as the conformance suite measures it.
        num_evaluations: calls of the velocity in one step, the first step apart.
    """

    order: ClassVar[int]
    num_evaluations: ClassVar[int] = 1

    def init(self, x: State) -> Any:
        """Returns what is carried from step to step, a pytree of arrays of fixed shapes.

        Args:
            x: (B, ...) the state at t = 0. Arrays of the carry take its dtype: float32 in sampling, float64
                where the conformance suite measures the order.
        """
        del x
        return ()

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
        """Advances x from t to t_next; pure, jittable, each row of x independent of the others.

        Args:
            velocity: the right-hand side v(x, t), which also splits a point into data and noise.
            x: (B, ...).
            carry: what `init` or the step before returned.
            t: scalar of the same dtype.
            t_next: scalar of the same dtype, greater than t.

        Returns:
            x at t_next, and the next carry.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define step()")
