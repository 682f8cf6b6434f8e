"""Conformance suites of objectives, optimizers, schedules and loggers; the built-ins run them too.

Subclass a suite in a test file and set its attributes; pytest does the rest.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from i1_hooks.testing import ComponentSuite
from i1_model.flow import FlowConfig, RectifiedFlow

from i1_train.loggers.base import LoggerConfig, PeriodicLoggerConfig
from i1_train.objectives import ObjectiveConfig
from i1_train.optimizers.base import OptimizerConfig
from i1_train.parameters import ParameterInfo, Params
from i1_train.schedules import Constant, ScheduleConfig


class ObjectiveSuite(ComponentSuite[ObjectiveConfig]):
    """What every objective must do.

    Example:
        class TestMine(ObjectiveSuite):
            component = MyObjective()
    """

    flow: FlowConfig = RectifiedFlow()

    def _draw(self, seed: int = 0):
        data = jax.random.normal(jax.random.key(1), (6, 4, 4, 3), jnp.float32)
        return jax.jit(lambda key: self.component.draw(self.flow, key, data))(jax.random.key(seed))

    def test_every_array_has_the_batch_as_its_first_axis(self) -> None:
        """Every array that `draw` returns has the batch as its first axis."""
        for name, value in self._draw().items():
            assert value.shape[:1] == (6,), f"{name} has shape {value.shape} for a batch of 6"

    def test_noisy_is_the_flows_interpolant(self) -> None:
        """`noisy` is the flow's interpolant of `noise` and `data` at `time`."""
        example = self._draw()
        expected = self.flow.interpolate(example["noise"], example["data"], example["time"])
        message = "noisy is not the interpolant of noise and data at time"
        np.testing.assert_allclose(example["noisy"], expected, atol=1e-6, err_msg=message)

    def test_draws_depend_on_the_key_alone(self) -> None:
        """Equal keys give equal draws, different keys different ones."""
        message = "equal keys gave different draws"
        np.testing.assert_array_equal(self._draw()["noisy"], self._draw()["noisy"], err_msg=message)
        same = np.array_equal(self._draw()["noisy"], self._draw(1)["noisy"])
        assert not same, "different keys gave equal draws"

    def test_losses_are_one_float32_per_example(self) -> None:
        """`losses` gives one finite float32 per example."""
        example = self._draw()
        losses = self.component.losses(self.flow, jnp.zeros_like(example["data"]), example)
        found = f"{losses.dtype} {losses.shape}"
        assert found == "float32 (6,)", f"losses of a batch of 6 are {found}, expected float32 (6,)"
        assert bool(jnp.isfinite(losses).all()), f"losses are not finite: {losses}"

    def test_gradients_are_finite_and_not_zero(self) -> None:
        """The gradient with respect to the prediction is finite and not zero."""
        example = self._draw()

        def loss(prediction: jax.Array) -> jax.Array:
            return self.component.losses(self.flow, prediction, example).mean()

        gradient = jax.grad(loss)(jnp.full_like(example["data"], 0.1))
        assert bool(jnp.isfinite(gradient).all()), "the gradient of the loss is not finite"
        assert bool(jnp.any(gradient != 0)), "the loss does not depend on the prediction"


class OptimizerSuite(ComponentSuite[OptimizerConfig]):
    """What every optimizer must do.

    Example:
        class TestMine(OptimizerSuite):
            component = MyOptimizer()
    """

    lr: float = 0.01

    parameters = {  # noqa: RUF012  (never changed)
        "blocks/stacked/mlp/kernel": ParameterInfo(("blocks_0/mlp/kernel", "blocks_1/mlp/kernel"), True, 3),
        "blocks/stacked/norm/scale": ParameterInfo(("blocks_0/norm/scale", "blocks_1/norm/scale"), True, 2),
        "x_embedder/proj/kernel": ParameterInfo(("x_embedder/proj/kernel",), False, 4),
        "x_embedder/proj/bias": ParameterInfo(("x_embedder/proj/bias",), False, 1),
    }
    shapes = {  # noqa: RUF012
        "blocks/stacked/mlp/kernel": (2, 8, 6),
        "blocks/stacked/norm/scale": (2, 8),
        "x_embedder/proj/kernel": (2, 2, 3, 8),
        "x_embedder/proj/bias": (8,),
    }

    def _arrays(self, seed: int) -> Params:
        keys = jax.random.split(jax.random.key(seed), len(self.shapes))
        return {
            path: jax.random.normal(key, shape, jnp.float32)
            for key, (path, shape) in zip(keys, self.shapes.items(), strict=True)
        }

    def _update(self, lr: float):
        """Returns the jitted update and the transformation; optax needs the usual dtype promotion."""
        optimizer = self.component.build(Constant(lr=lr).build(10), self.parameters)

        def update(grads: Params, state, params: Params):
            with jax.numpy_dtype_promotion("standard"):
                return optimizer.update(grads, state, params)

        return jax.jit(update), optimizer.init

    def test_updates_are_float32_of_the_parameters_shapes(self) -> None:
        """Updates are float32 arrays with the shapes of the parameters."""
        update, init = self._update(self.lr)
        params = self._arrays(0)
        updates, _ = update(self._arrays(1), init(params), params)
        found = {path: f"{value.dtype} {value.shape}" for path, value in updates.items()}
        expected = {path: f"float32 {shape}" for path, shape in self.shapes.items()}
        assert found == expected, f"updates are {found}, expected {expected}"

    def test_state_keeps_its_structure_and_dtypes(self) -> None:
        """The state keeps its structure, shapes and dtypes from step to step."""
        update, init = self._update(self.lr)
        params = self._arrays(0)
        before = jax.eval_shape(init, params)
        _, after = jax.eval_shape(update, params, before, params)
        same = jax.tree.structure(before) == jax.tree.structure(after)
        same = same and jax.tree.leaves(before) == jax.tree.leaves(after)
        assert same, f"a step turns the state {before} into {after}"

    def test_a_quadratic_goes_down(self) -> None:
        """Thirty steps lower the sum of squares of the parameters."""
        update, init = self._update(self.lr)

        def loss(params: Params) -> jax.Array:
            return jnp.stack([jnp.sum(jnp.square(value)) for value in params.values()]).sum()

        params = self._arrays(0)
        start, state, gradient = loss(params), init(params), jax.jit(jax.grad(loss))
        for _ in range(30):
            updates, state = update(gradient(params), state, params)
            params = {path: params[path] + updates[path] for path in params}
        end = float(loss(params))
        assert end < float(start), f"30 steps took the sum of squares from {float(start):.4g} to {end:.4g}"

    def test_the_learning_rate_scales_the_update(self) -> None:
        """Twice the learning rate gives twice the update."""
        params, grads = self._arrays(0), self._arrays(1)
        small, large = (
            update(grads, init(params), params)[0]
            for update, init in (self._update(lr) for lr in (self.lr, 2 * self.lr))
        )
        for path in params:
            message = f"twice the learning rate does not double the update of {path}"
            np.testing.assert_allclose(large[path], 2 * small[path], rtol=1e-4, atol=1e-7, err_msg=message)


class ScheduleSuite(ComponentSuite[ScheduleConfig]):
    """What every schedule must do.

    Example:
        class TestMine(ScheduleSuite):
            component = MySchedule()
    """

    steps: int = 100

    def test_every_step_has_a_finite_rate_that_is_not_negative(self) -> None:
        """Every step has a finite rate that is not negative, and some rate is positive."""
        schedule = self.component.build(self.steps)
        rates = np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(self.steps + 1, dtype=jnp.int32)))
        assert rates.shape == (self.steps + 1,), f"{self.steps + 1} steps have rates {rates.shape}"
        wrong = np.flatnonzero(~(np.isfinite(rates) & (rates >= 0)))
        assert not len(wrong), f"steps {wrong[:5]} have rates {rates[wrong[:5]]}"
        assert rates.max() > 0, "the rate of every step is 0"

    def test_rates_are_float32_scalars(self) -> None:
        """The rate of a step, an int32 scalar, is a float32 scalar."""
        rate = jax.eval_shape(self.component.build(self.steps), jax.ShapeDtypeStruct((), jnp.int32))
        found = f"{rate.dtype} {rate.shape}"
        assert found == "float32 ()", f"a rate is {found}, expected float32 ()"


class LoggerSuite(ComponentSuite[LoggerConfig]):
    """What every logger must do.

    Override `logged_steps` to check also what a resumed run has logged.

    Example:
        class TestMine(LoggerSuite):
            component = MyLogger()
    """

    def logged_steps(self, workdir: Path) -> list[int] | None:
        """Returns the steps that the log of a run in `workdir` shows; `None` when it cannot be read."""
        del workdir
        return None

    def _every_step(self) -> LoggerConfig:
        """Returns the component, logging every step."""
        if isinstance(self.component, PeriodicLoggerConfig):
            return dataclasses.replace(self.component, every=1)
        return self.component

    def test_a_run_can_be_logged_and_resumed(self, tmp_path: Path) -> None:
        """A run can be logged, closed, and resumed from an earlier step."""
        for begin in (0, 2):
            logger = self._every_step().build(tmp_path, begin)
            for step in range(begin + 1, begin + 4):
                logger.log(step, {"loss": 1.0 / step, "learning_rate": 1e-4})
            logger.flush()
            logger.close()
        steps = self.logged_steps(tmp_path)
        assert steps is None or steps == [1, 2, 3, 4, 5], f"the log of a resumed run shows steps {steps}"

    def test_a_period_is_at_least_one_step(self) -> None:
        """A periodic logger refuses a period below 1, in one line that names it."""
        if not isinstance(self.component, PeriodicLoggerConfig):
            return
        try:
            dataclasses.replace(self.component, every=0)
        except UserError as error:
            message = str(error)
            assert "every must be at least 1, got 0" in message, f"a period of 0 is refused with {message!r}"
        else:
            raise AssertionError("a period of 0 is accepted")

    def test_a_picture_is_taken_or_ignored(self, tmp_path: Path) -> None:
        """`log_image` takes a picture, or ignores it."""
        from PIL import Image

        file = tmp_path / "step_00000001.png"
        Image.new("RGB", (8, 8), "red").save(file)
        logger = self.component.build(tmp_path, 0)
        logger.log_image(1, "samples", file)
        logger.close()
