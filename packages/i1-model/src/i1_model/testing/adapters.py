"""The conformance suite of adapters."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks.testing import ComponentSuite

from i1_model.adapters import AdapterConfig


class AdapterSuite(ComponentSuite[AdapterConfig]):
    """What every adapter must do; subclass it in a test file.

    Example:
        class TestMine(AdapterSuite):
            component = MyAdapter(num_layers=2)
    """

    text_width: int = 10
    hidden_width: int = 16

    def test_parameters_are_float32_and_depend_on_the_key_alone(self) -> None:
        first, again, other = (self._build(seed)[1] for seed in (0, 0, 1))
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(first))
        jax.tree.map(np.testing.assert_array_equal, first, again)
        pairs = zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)
        assert any(not np.array_equal(a, b) for a, b in pairs)

    def test_shapes_are_known_without_computing(self) -> None:
        shapes = jax.eval_shape(lambda: self._build(0)[1])
        assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, self._build(0)[1])

    def test_maps_text_to_the_backbone_width_in_both_dtypes(self) -> None:
        for dtype in (jnp.float32, jnp.bfloat16):
            out = self._apply(self._tokens().astype(dtype))
            assert out.shape == (3, 7, self.hidden_width)
            assert out.dtype == dtype
            assert bool(jnp.all(jnp.isfinite(out)))

    def test_rows_do_not_see_each_other(self) -> None:
        tokens = self._tokens()
        changed = tokens.at[1].set(2 * tokens[1] + 1)
        before, after = self._apply(tokens), self._apply(changed)
        np.testing.assert_allclose(before[::2], after[::2], rtol=0, atol=1e-6)
        assert float(jnp.max(jnp.abs(before[1] - after[1]))) > 1e-4

    def test_every_parameter_has_a_gradient(self) -> None:
        graphdef, params = self._build(0)

        def loss(params: nnx.State) -> jax.Array:
            return jnp.sum(jnp.sin(nnx.merge(graphdef, params)(self._tokens(), self._mask())))

        gradients = jax.grad(loss)(params)
        assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradients))

    def _build(self, seed: int) -> tuple[nnx.GraphDef, nnx.State]:
        return nnx.split(self.component.build(self.text_width, self.hidden_width, jax.random.key(seed)))

    def _apply(self, tokens: jax.Array) -> jax.Array:
        graphdef, params = self._build(0)
        return jax.jit(lambda p, x, m: nnx.merge(graphdef, p)(x, m))(params, tokens, self._mask())

    def _tokens(self) -> jax.Array:
        return jax.random.normal(jax.random.key(2), (3, 7, self.text_width))

    @staticmethod
    def _mask() -> jax.Array:
        return jnp.arange(7)[None] < jnp.asarray([7, 3, 0])[:, None]
