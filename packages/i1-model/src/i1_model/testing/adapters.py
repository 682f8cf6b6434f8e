"""The conformance suite of adapters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks.testing import ComponentSuite

from i1_model.adapters import AdapterConfig
from i1_model.testing.zeros import fill_zeros


class AdapterSuite(ComponentSuite[AdapterConfig]):
    """What every adapter must do; subclass it in a test file.

    Attributes:
        text_width: channels of the text tokens in the checks.
        hidden_width: channels of the adapted tokens in the checks.

    Example:
        class TestMine(AdapterSuite):
            component = MyAdapter(num_layers=2)
    """

    text_width: int = 10
    hidden_width: int = 16

    def test_parameters_are_float32_and_depend_on_the_key_alone(self) -> None:
        """Parameters are float32, equal for equal keys and different for different keys."""
        first, again, other = (self._build(seed)[1] for seed in (0, 0, 1))
        dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves(first)}
        assert dtypes == {"float32"}, f"parameters must be float32, found {sorted(dtypes)}"
        for one, same in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
            np.testing.assert_array_equal(one, same, err_msg="equal keys must give equal parameters")
        pairs = zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)
        assert any(not np.array_equal(a, b) for a, b in pairs), "different keys gave the same parameters"

    def test_shapes_are_known_without_computing(self) -> None:
        """`build` runs under `jax.eval_shape` and gives the same shapes there."""
        shapes = jax.tree.map(jnp.shape, jax.eval_shape(lambda: self._build(0)[1]))
        real = jax.tree.map(jnp.shape, self._build(0)[1])
        assert shapes == real, f"shapes under jax.eval_shape are {shapes}, otherwise {real}"

    def test_maps_text_to_the_backbone_width_in_both_dtypes(self) -> None:
        """Tokens (B, T, text_width) become finite tokens (B, T, hidden_width), in float32 and in bfloat16."""
        for dtype in (jnp.float32, jnp.bfloat16):
            out = self._apply(self._tokens().astype(dtype))
            expected = (3, 7, self.hidden_width)
            assert out.shape == expected, f"adapted tokens have shape {out.shape}, expected {expected}"
            assert out.dtype == dtype, f"from {dtype.__name__} came {out.dtype}, expected the same dtype"
            assert bool(jnp.all(jnp.isfinite(out))), f"adapted tokens in {dtype.__name__} are not finite"

    def test_rows_do_not_see_each_other(self) -> None:
        """The tokens of one prompt depend on that prompt alone."""
        tokens = self._tokens()
        changed = tokens.at[1].set(2 * tokens[1] + 1)
        before, after = self._apply(tokens), self._apply(changed)
        message = "another prompt of the batch changed the tokens of this one"
        np.testing.assert_allclose(before[::2], after[::2], rtol=0, atol=1e-6, err_msg=message)
        moved = float(jnp.max(jnp.abs(before[1] - after[1])))
        assert moved > 1e-4, f"other text changed the adapted tokens by {moved:.1e} only"

    def test_every_parameter_has_a_gradient(self) -> None:
        """Every parameter has a gradient that is not zero, once arrays of zeros are filled."""
        graphdef, params = self._build(0)

        def loss(params: nnx.State) -> jax.Array:
            return jnp.sum(jnp.sin(nnx.merge(graphdef, params)(self._tokens(), self._mask())))

        gradients = jax.grad(loss)(fill_zeros(params))
        idle = [
            jax.tree_util.keystr(path)
            for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
            if not bool(jnp.any(leaf != 0))
        ]
        assert not idle, f"nothing depends on the parameters {', '.join(idle)}"

    def _build(self, seed: int) -> tuple[nnx.GraphDef, nnx.State]:
        return nnx.split(self.component.build(self.text_width, self.hidden_width, jax.random.key(seed)))

    def _apply(self, tokens: jax.Array) -> jax.Array:
        graphdef, params = self._build(0)
        apply = jax.jit(lambda p, x, m: nnx.merge(graphdef, p)(x, m))
        return apply(fill_zeros(params), tokens, self._mask())

    def _tokens(self) -> jax.Array:
        return jax.random.normal(jax.random.key(2), (3, 7, self.text_width))

    @staticmethod
    def _mask() -> jax.Array:
        return jnp.arange(7)[None] < jnp.asarray([7, 3, 0])[:, None]
