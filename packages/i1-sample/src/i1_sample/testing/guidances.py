"""The conformance suite of guidances."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks.testing import ComponentSuite

from i1_sample.guidances import GuidanceConfig


class GuidanceSuite(ComponentSuite[GuidanceConfig]):
    """What every guidance must do; subclass it in a test file.

    Example:
        class TestMine(GuidanceSuite):
            component = MyGuidance()
    """

    def velocities(self) -> tuple[jax.Array, jax.Array]:
        """A conditional and an unconditional velocity, (3, 4, 4, 2)."""
        return tuple(jax.random.normal(jax.random.key(k), (3, 4, 4, 2)) for k in (0, 1))  # pyright: ignore[reportReturnType] (two keys)

    def test_shape_under_jit(self) -> None:
        conditional, unconditional = self.velocities()
        guided = jax.jit(self.component.combine)(conditional, unconditional, jnp.float32(4), jnp.float32(0.5))
        assert guided.shape == conditional.shape
        assert guided.dtype == jnp.float32
        assert bool(jnp.isfinite(guided).all())

    def test_scale_one_is_no_guidance(self) -> None:
        conditional, unconditional = self.velocities()
        guided = self.component.combine(conditional, unconditional, jnp.float32(1), jnp.float32(0.5))
        np.testing.assert_allclose(guided, conditional, atol=1e-5)

    def test_equal_velocities_need_no_guidance(self) -> None:
        conditional, _ = self.velocities()
        guided = self.component.combine(conditional, conditional, jnp.float32(6), jnp.float32(0.5))
        np.testing.assert_allclose(guided, conditional, atol=1e-5)

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        conditional, unconditional = self.velocities()
        scale, t = jnp.float32(5), jnp.float32(0.5)
        together = self.component.combine(conditional, unconditional, scale, t)
        alone = self.component.combine(conditional[1:2], unconditional[1:2], scale, t)
        np.testing.assert_allclose(together[1:2], alone, atol=1e-5)

    def test_says_whether_it_reads_the_unconditional_velocity(self) -> None:
        conditional, unconditional = self.velocities()
        scale, t = jnp.float32(5), jnp.float32(0.5)
        one = self.component.combine(conditional, unconditional, scale, t)
        other = self.component.combine(conditional, unconditional[:, ::-1], scale, t)
        assert self.component.uses_unconditional != bool(jnp.array_equal(one, other))
