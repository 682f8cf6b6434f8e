"""The conformance suite of guidances."""

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
        """Returns a conditional and an unconditional velocity, (3, 4, 4, 2)."""
        return tuple(jax.random.normal(jax.random.key(k), (3, 4, 4, 2)) for k in (0, 1))  # pyright: ignore[reportReturnType] (two keys)

    def test_shape_under_jit(self) -> None:
        """`combine` gives a finite float32 velocity of the same shape."""
        conditional, unconditional = self.velocities()
        guided = jax.jit(self.component.combine)(conditional, unconditional, jnp.float32(4), jnp.float32(0.5))
        found, expected = f"{guided.dtype} {guided.shape}", f"float32 {conditional.shape}"
        assert found == expected, f"combine returned {found}, expected {expected}"
        assert bool(jnp.isfinite(guided).all()), "the guided velocity is not finite"

    def test_scale_one_is_no_guidance(self) -> None:
        """At scale 1 the result is the conditional velocity."""
        conditional, unconditional = self.velocities()
        guided = self.component.combine(conditional, unconditional, jnp.float32(1), jnp.float32(0.5))
        message = "at scale 1 the guided velocity is not the conditional one"
        np.testing.assert_allclose(guided, conditional, atol=1e-5, err_msg=message)

    def test_equal_velocities_need_no_guidance(self) -> None:
        """Where the text changes nothing, guidance changes nothing."""
        conditional, _ = self.velocities()
        guided = self.component.combine(conditional, conditional, jnp.float32(6), jnp.float32(0.5))
        message = "of two equal velocities came another one"
        np.testing.assert_allclose(guided, conditional, atol=1e-5, err_msg=message)

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        """The velocity of a picture is the same, alone or in a batch."""
        conditional, unconditional = self.velocities()
        scale, t = jnp.float32(5), jnp.float32(0.5)
        together = self.component.combine(conditional, unconditional, scale, t)
        alone = self.component.combine(conditional[1:2], unconditional[1:2], scale, t)
        message = "a picture is guided otherwise alone than in a batch"
        np.testing.assert_allclose(together[1:2], alone, atol=1e-5, err_msg=message)

    def test_says_whether_it_reads_the_unconditional_velocity(self) -> None:
        """`uses_unconditional` says whether `combine` reads the unconditional velocity."""
        conditional, unconditional = self.velocities()
        scale, t = jnp.float32(5), jnp.float32(0.5)
        one = self.component.combine(conditional, unconditional, scale, t)
        other = self.component.combine(conditional, unconditional[:, ::-1], scale, t)
        reads, stated = not bool(jnp.array_equal(one, other)), self.component.uses_unconditional
        verb = "changes" if reads else "does not change"
        assert reads == stated, f"uses_unconditional is {stated}, but that velocity {verb} the result"
