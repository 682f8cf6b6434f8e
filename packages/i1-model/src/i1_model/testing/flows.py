"""The conformance suite of flows."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks.testing import ComponentSuite

from i1_model.flow import FlowConfig


class FlowSuite(ComponentSuite[FlowConfig]):
    """What every flow must do; subclass it in a test file.

    Example:
        class TestMine(FlowSuite):
            component = MyFlow(power=3.0)
    """

    def test_times_are_float32_in_the_unit_interval(self) -> None:
        times = jax.jit(self.component.sample_times, static_argnums=1)(jax.random.key(0), 512)
        assert times.shape == (512,)
        assert times.dtype == jnp.float32
        assert bool(jnp.all((times >= 0) & (times <= 1)))
        assert float(jnp.std(times)) > 0

    def test_times_depend_on_the_key_alone(self) -> None:
        first, again, other = (self.component.sample_times(jax.random.key(seed), 8) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_path_runs_from_noise_to_data(self) -> None:
        noise, data, _ = self._batch()
        np.testing.assert_allclose(self.component.interpolate(noise, data, jnp.zeros(4)), noise, atol=1e-6)
        np.testing.assert_allclose(self.component.interpolate(noise, data, jnp.ones(4)), data, atol=1e-6)

    def test_target_is_the_derivative_of_the_path(self) -> None:
        noise, data, t = self._batch()
        _, derivative = jax.jvp(
            lambda s: self.component.interpolate(noise, data, s), (t,), (jnp.ones_like(t),)
        )
        np.testing.assert_allclose(self.component.target(noise, data, t), derivative, rtol=1e-4, atol=1e-4)

    def test_velocity_keeps_shape_and_dtype(self) -> None:
        noise, data, t = self._batch()
        velocity = jax.jit(self.component.velocity)(noise, self.component.interpolate(noise, data, t), t)
        assert velocity.shape == data.shape
        assert velocity.dtype == jnp.float32
        assert bool(jnp.all(jnp.isfinite(velocity)))

    @staticmethod
    def _batch() -> tuple[jax.Array, jax.Array, jax.Array]:
        keys = jax.random.split(jax.random.key(3))
        noise, data = (jax.random.normal(key, (4, 6, 6, 2)) for key in keys)
        return noise, data, jnp.asarray([0.1, 0.4, 0.6, 0.9], jnp.float32)
