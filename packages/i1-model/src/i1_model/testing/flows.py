"""The conformance suite of flows."""

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
        """`sample_times` draws float32 times (B,) in [0, 1] that are not all equal."""
        times = jax.jit(self.component.sample_times, static_argnums=1)(jax.random.key(0), 512)
        found = f"{times.dtype} {times.shape}"
        assert found == "float32 (512,)", f"sample_times returned {found}, expected float32 (512,)"
        low, high = float(times.min()), float(times.max())
        assert 0 <= low <= high <= 1, f"times run from {low} to {high}, outside of [0, 1]"
        assert low < high, f"all 512 times are {low}"

    def test_times_depend_on_the_key_alone(self) -> None:
        """Equal keys give equal times, different keys different ones."""
        first, again, other = (self.component.sample_times(jax.random.key(seed), 8) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again, err_msg="equal keys gave different times")
        assert not np.array_equal(first, other), "different keys gave equal times"

    def test_path_runs_from_noise_to_data(self) -> None:
        """`interpolate` is the noise at time 0 and the data at time 1."""
        noise, data, _ = self._batch()
        for time, end, name in ((jnp.zeros(4), noise, "noise"), (jnp.ones(4), data, "data")):
            found = self.component.interpolate(noise, data, time)
            message = f"at time {time[0]:.0f} the path is not the {name}"
            np.testing.assert_allclose(found, end, atol=1e-6, err_msg=message)

    def test_target_is_the_derivative_of_the_path(self) -> None:
        """`target` is the derivative of `interpolate` with respect to time."""
        noise, data, t = self._batch()
        _, slope = jax.jvp(lambda s: self.component.interpolate(noise, data, s), (t,), (jnp.ones_like(t),))
        target = self.component.target(noise, data, t)
        message = "the target is not the derivative of the path"
        np.testing.assert_allclose(target, slope, rtol=1e-4, atol=1e-4, err_msg=message)

    def test_split_finds_the_data_and_the_noise_of_a_point(self) -> None:
        """`split` finds the data and the noise that a point and the derivative of its path come from."""
        noise, data, t = self._batch()
        point = self.component.interpolate(noise, data, t)
        found = self.component.split(point, self.component.target(noise, data, t), t)
        message = "split(interpolate(noise, data, t), target(noise, data, t), t) is not (data, noise)"
        np.testing.assert_allclose(found[0], data, rtol=1e-4, atol=1e-4, err_msg=message)
        np.testing.assert_allclose(found[1], noise, rtol=1e-4, atol=1e-4, err_msg=message)

    def test_join_is_the_path_at_one_time_for_all(self) -> None:
        """`join` gives the point of the path, for a time per example and for one time for all."""
        noise, data, t = self._batch()
        for times in (t, jnp.float32(0.4)):
            joined = self.component.join(data, noise, times)
            path = self.component.interpolate(noise, data, jnp.broadcast_to(times, (4,)))
            message = "join(data, noise, t) is not interpolate(noise, data, t)"
            np.testing.assert_allclose(joined, path, atol=1e-5, err_msg=message)

    def test_velocity_keeps_shape_and_dtype(self) -> None:
        """`velocity` turns a prediction into finite float32 velocities of the same shape."""
        noise, data, t = self._batch()
        velocity = jax.jit(self.component.velocity)(noise, self.component.interpolate(noise, data, t), t)
        found, expected = f"{velocity.dtype} {velocity.shape}", f"float32 {data.shape}"
        assert found == expected, f"velocity returned {found}, expected {expected}"
        assert bool(jnp.all(jnp.isfinite(velocity))), "velocities are not finite"

    @staticmethod
    def _batch() -> tuple[jax.Array, jax.Array, jax.Array]:
        keys = jax.random.split(jax.random.key(3))
        noise, data = (jax.random.normal(key, (4, 6, 6, 2)) for key in keys)
        return noise, data, jnp.asarray([0.1, 0.4, 0.6, 0.9], jnp.float32)
