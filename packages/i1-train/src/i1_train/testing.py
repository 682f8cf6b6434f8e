"""Conformance suites of objectives, optimizers, schedules and loggers; the built-ins run them too.

Subclass a suite in a test file and set its attributes; pytest does the rest.
"""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks.testing import ComponentSuite
from i1_model.flow import FlowConfig, RectifiedFlow

from i1_train.loggers.base import LoggerConfig
from i1_train.objectives import ObjectiveConfig
from i1_train.optimizers.base import OptimizerConfig
from i1_train.parameters import Leaf, Params
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
        assert {value.shape[0] for value in self._draw().values()} == {6}

    def test_noisy_is_the_flows_interpolant(self) -> None:
        example = self._draw()
        expected = self.flow.interpolate(example["noise"], example["data"], example["time"])
        np.testing.assert_allclose(example["noisy"], expected, atol=1e-6)

    def test_draws_depend_on_the_key_alone(self) -> None:
        np.testing.assert_array_equal(self._draw()["noisy"], self._draw()["noisy"])
        assert not np.array_equal(self._draw()["noisy"], self._draw(1)["noisy"])

    def test_losses_are_one_float32_per_example(self) -> None:
        example = self._draw()
        losses = self.component.losses(self.flow, jnp.zeros_like(example["data"]), example)
        assert losses.shape == (6,)
        assert losses.dtype == jnp.float32
        assert bool(jnp.isfinite(losses).all())

    def test_gradients_are_finite_and_not_zero(self) -> None:
        example = self._draw()

        def loss(prediction: jax.Array) -> jax.Array:
            return self.component.losses(self.flow, prediction, example).mean()

        gradient = jax.grad(loss)(jnp.full_like(example["data"], 0.1))
        assert bool(jnp.isfinite(gradient).all())
        assert bool(jnp.any(gradient != 0))


class OptimizerSuite(ComponentSuite[OptimizerConfig]):
    """What every optimizer must do.

    Example:
        class TestMine(OptimizerSuite):
            component = MyOptimizer()
    """

    lr: float = 0.01

    leaves = {  # noqa: RUF012  (never changed)
        "blocks/stacked/mlp/kernel": Leaf(("blocks_0/mlp/kernel", "blocks_1/mlp/kernel"), True, 3),
        "blocks/stacked/norm/scale": Leaf(("blocks_0/norm/scale", "blocks_1/norm/scale"), True, 2),
        "x_embedder/proj/kernel": Leaf(("x_embedder/proj/kernel",), False, 4),
        "x_embedder/proj/bias": Leaf(("x_embedder/proj/bias",), False, 1),
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
        optimizer = self.component.build(Constant(lr=lr).build(10), self.leaves)

        def update(grads: Params, state, params: Params):
            with jax.numpy_dtype_promotion("standard"):
                return optimizer.update(grads, state, params)

        return jax.jit(update), optimizer.init

    def test_updates_are_float32_of_the_parameters_shapes(self) -> None:
        update, init = self._update(self.lr)
        params = self._arrays(0)
        updates, _ = update(self._arrays(1), init(params), params)
        found = {path: (value.shape, value.dtype) for path, value in updates.items()}
        assert found == {path: (shape, jnp.dtype("float32")) for path, shape in self.shapes.items()}

    def test_state_keeps_its_structure_and_dtypes(self) -> None:
        update, init = self._update(self.lr)
        params = self._arrays(0)
        before = jax.eval_shape(init, params)
        _, after = jax.eval_shape(update, params, before, params)
        assert jax.tree.structure(before) == jax.tree.structure(after)
        assert [(x.shape, x.dtype) for x in jax.tree.leaves(before)] == [
            (x.shape, x.dtype) for x in jax.tree.leaves(after)
        ]

    def test_a_quadratic_goes_down(self) -> None:
        update, init = self._update(self.lr)

        def loss(params: Params) -> jax.Array:
            return jnp.stack([jnp.sum(jnp.square(value)) for value in params.values()]).sum()

        params = self._arrays(0)
        start, state, gradient = loss(params), init(params), jax.jit(jax.grad(loss))
        for _ in range(30):
            updates, state = update(gradient(params), state, params)
            params = {path: params[path] + updates[path] for path in params}
        assert float(loss(params)) < float(start)

    def test_the_learning_rate_scales_the_update(self) -> None:
        params, grads = self._arrays(0), self._arrays(1)
        small, large = (
            update(grads, init(params), params)[0]
            for update, init in (self._update(lr) for lr in (self.lr, 2 * self.lr))
        )
        for path in params:
            np.testing.assert_allclose(large[path], 2 * small[path], rtol=1e-4, atol=1e-7, err_msg=path)


class ScheduleSuite(ComponentSuite[ScheduleConfig]):
    """What every schedule must do.

    Example:
        class TestMine(ScheduleSuite):
            component = MySchedule()
    """

    steps: int = 100

    def test_every_step_has_a_finite_rate_that_is_not_negative(self) -> None:
        schedule = self.component.build(self.steps)
        rates = np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(self.steps + 1, dtype=jnp.int32)))
        assert rates.shape == (self.steps + 1,)
        assert np.isfinite(rates).all()
        assert rates.min() >= 0
        assert rates.max() > 0

    def test_rates_are_float32_scalars(self) -> None:
        rate = jax.eval_shape(self.component.build(self.steps), jax.ShapeDtypeStruct((), jnp.int32))
        assert (rate.shape, rate.dtype) == ((), jnp.float32)


class LoggerSuite(ComponentSuite[LoggerConfig]):
    """What every logger must do.

    Example:
        class TestMine(LoggerSuite):
            component = MyLogger()
    """

    def test_a_run_can_be_logged_and_gone_on_with(self, tmp_path: Path) -> None:
        for begin in (0, 2):
            logger = self.component.build(tmp_path, begin)
            for step in range(begin + 1, begin + 4):
                logger.log(step, {"loss": 1.0 / step, "learning_rate": 1e-4})
            logger.flush()
            logger.close()

    def test_a_picture_is_taken_or_ignored(self, tmp_path: Path) -> None:
        from PIL import Image

        file = tmp_path / "step_00000001.png"
        Image.new("RGB", (8, 8), "red").save(file)
        logger = self.component.build(tmp_path, 0)
        logger.log_image(1, "samples", file)
        logger.close()
