"""The conformance suite of solvers."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks.testing import ComponentSuite
from i1_model.flow import FlowConfig

from i1_sample.solvers import SolverConfig, Velocity
from i1_sample.testing.flows import FLOWS, MEAN, STD, gaussian_velocity
from i1_sample.time_grids import TimeGridConfig
from i1_sample.time_grids.grids import Shifted, Uniform

_NUM_STEPS = (128, 256)
_RATES = np.array([[-3.0], [-0.5], [0.5], [1.5]])
_OFFSETS = np.array([[0.5], [-0.25], [1.0], [0.5]])


def integrate(
    solver: SolverConfig,
    function: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    times: np.ndarray,
    flow: FlowConfig = FLOWS["straight"],
) -> jax.Array:
    """Returns x at the last time, from x (B, ...) at the first; all steps in one scan.

    Args:
        solver: the integrator.
        function: the velocity v(x, t).
        x: the state at the first time.
        times: (n + 1,).
        flow: the path that the velocity belongs to.
    """
    velocity = Velocity(function, flow)

    def body(state: tuple[jax.Array, object], span: tuple[jax.Array, jax.Array]) -> tuple:
        return solver.step(velocity, *state, *span), None

    (end, _), _ = jax.lax.scan(body, (x, solver.init(x)), (jnp.asarray(times[:-1]), jnp.asarray(times[1:])))
    return end


def linear_ode_error(
    solver: SolverConfig, grid: TimeGridConfig, num_steps: int, end: float = 1.0
) -> jax.Array:
    """Integrates `dx/dt = a (x - cos 6t) - 6 sin 6t` for four rates a from t = 0 to `end`.

    Started at 1 + c the solution is `cos 6t + c e^(a t)`.

    Double precision, where it is enabled: the error of a method of order 4 is soon below float32's.

    Returns:
        The norm of the error at the end.
    """

    def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.asarray(_RATES) * (x - jnp.cos(6 * t)) - 6 * jnp.sin(6 * t)

    x = integrate(solver, velocity, jnp.asarray(1 + _OFFSETS), end * grid.times(num_steps).astype(float))
    return jnp.linalg.norm(x - jnp.asarray(np.cos(6 * end) + _OFFSETS * np.exp(_RATES * end)))


class SolverSuite(ComponentSuite[SolverConfig]):
    """What every solver must do; subclass it in a test file.

    Attributes:
        order_until: where the order is measured; below 1 for a solver whose steps are singular at the data.
        draws_noise: whether fresh noise is drawn on the way, so that there is no order to measure.
        spread_tolerance: largest relative error of the standard deviation of Gaussian data after 100 steps.

    Example:
        class TestMine(SolverSuite):
            component = MySolver()
    """

    order_until: float = 1.0
    draws_noise: bool = False
    spread_tolerance: float = 0.07

    def test_order_on_equal_steps(self) -> None:
        """On equal steps, the measured order of convergence is the stated `order`."""
        self._check_order(Uniform())

    def test_order_on_unequal_steps(self) -> None:
        """On unequal steps, the measured order of convergence is the stated `order`."""
        self._check_order(Shifted(shift=0.6))

    def _check_order(self, grid: TimeGridConfig) -> None:
        if self.draws_noise:
            return
        with jax.enable_x64(True):
            coarse, fine = jax.jit(
                lambda: [linear_ode_error(self.component, grid, n, self.order_until) for n in _NUM_STEPS]
            )()
        measured = math.log2(float(coarse) / float(fine))
        stated = self.component.order
        assert abs(measured - stated) < 0.35, f"the measured order is {measured:.2f}, the stated one {stated}"

    def test_a_constant_velocity_is_integrated_exactly(self) -> None:
        """A constant velocity is integrated exactly."""
        if self.draws_noise:
            return
        x = jnp.array([[1.0], [-2.0]])
        constant = jnp.array([[0.5], [3.0]])
        end = jax.jit(lambda x: integrate(self.component, lambda _x, _t: constant, x, Shifted().times(7)))(x)
        message = "a constant velocity does not lead to x + velocity"
        np.testing.assert_allclose(end, x + constant, atol=1e-5, err_msg=message)

    def test_gaussian_data_keep_their_mean_and_spread_on_every_path(self) -> None:
        """On a straight and on a trigonometric path, Gaussian data come out with their mean and spread."""
        noise = jax.random.normal(jax.random.key(1), (4000, 3))
        for name, flow in FLOWS.items():
            velocity, times = gaussian_velocity(flow), Uniform().times(100)
            run = jax.jit(lambda x, v=velocity, f=flow, t=times: integrate(self.component, v, x, t, f))
            drawn = np.asarray(run(noise))
            got = f"mean {drawn.mean():.3f} and deviation {drawn.std():.3f} on a {name} path"
            assert abs(drawn.mean() - MEAN) < 0.02, f"{got}, expected mean {MEAN}"
            assert abs(drawn.std() / STD - 1) < self.spread_tolerance, f"{got}, expected deviation {STD}"

    def test_the_carry_keeps_its_structure(self) -> None:
        """The state and the carry keep their structure, shapes and dtypes from step to step."""

        def one_step(x: jax.Array) -> tuple:
            carry = self.component.init(x)
            velocity = Velocity(lambda x, _t: -x, FLOWS["straight"])
            step = self.component.step(velocity, x, carry, jnp.float32(0.2), jnp.float32(0.4))
            return (x, carry), step

        before, after = jax.eval_shape(one_step, jnp.ones((2, 3)))
        same = jax.tree.structure(before) == jax.tree.structure(after)
        same = same and jax.tree.leaves(before) == jax.tree.leaves(after)
        assert same, f"a step turns (x, carry) {before} into {after}"

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        """A picture is the same, alone or in a batch."""
        x = jnp.array([[1.0], [-2.0], [0.3]])
        run = jax.jit(
            lambda x: integrate(self.component, lambda x, t: x * jnp.sin(5 * t), x, Uniform().times(4))
        )
        message = "a picture is integrated otherwise alone than in a batch"
        np.testing.assert_allclose(run(x)[1:2], run(x[1:2]), atol=1e-6, err_msg=message)
