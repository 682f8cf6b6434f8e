"""What a solver is: a pure step along the sampling ODE."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from i1_hooks import ComponentConfig

if TYPE_CHECKING:
    import jax

Velocity = Callable[["jax.Array", "jax.Array"], "jax.Array"]
"""v(x, t): x (B, ...) and a scalar time give dx/dt, shaped like x."""


class SolverConfig(ComponentConfig, kind="solvers"):
    """Base of every solver; the configuration is the solver.

    Attributes:
        order: global order of convergence on a smooth ODE, as the conformance suite measures it.
        num_evaluations: calls of the velocity in one step, the first step apart.
    """

    order: ClassVar[int]
    num_evaluations: ClassVar[int] = 1

    def init(self, x: jax.Array) -> Any:
        """Returns what is carried from step to step, a pytree of arrays of fixed shapes.

        Args:
            x: (B, ...) the state at t = 0. Arrays of the carry take its dtype: float32 in sampling, float64
                where the conformance suite measures the order.
        """
        del x
        return ()

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Any, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Advances x from t to t_next; pure, jittable, each row of x independent of the others.

        Args:
            velocity: the right-hand side v(x, t).
            x: (B, ...).
            carry: what `init` or the step before returned.
            t: scalar of the same dtype.
            t_next: likewise, greater than t.

        Returns:
            x at t_next, and the next carry.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define step()")
