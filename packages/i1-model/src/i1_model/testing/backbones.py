"""The conformance suite of backbones."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks.testing import ComponentSuite

from i1_model.backbones import BackboneConfig, LatentSpec
from i1_model.testing.zeros import fill_zeros

NUM_TEXT = 7
_COMPILER: Any = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class BackboneSuite(ComponentSuite[BackboneConfig]):
    """What every backbone must do; subclass it in a test file, with a small configuration.

    A network may begin as zero: the suite fills arrays of zeros with small random numbers.

    Attributes:
        spec: the latents of the checks.

    Example:
        class TestMine(BackboneSuite):
            component = MyBackbone(hidden_width=16, depth=3)
    """

    spec: LatentSpec = LatentSpec(height=8, width=8, channels=4, resolution=256, num_text_tokens=NUM_TEXT)

    def test_shapes_are_known_without_computing_and_parameters_are_float32(self) -> None:
        """`build` runs under `jax.eval_shape`, and all parameters are float32."""
        params = jax.eval_shape(lambda: nnx.split(self._build())[1])
        dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves(params)}
        assert dtypes == {"float32"}, f"parameters must be float32, found {sorted(dtypes)}"

    def test_predicts_float32_latents_in_both_dtypes(self) -> None:
        """The prediction is float32 with the shape of the latents; in bfloat16 it is off by less than 5%."""
        outs = {}
        expected = f"float32 {(3, self.spec.height, self.spec.width, self.spec.channels)}"
        for dtype in (jnp.float32, jnp.bfloat16):
            outs[dtype] = self._apply(*self._inputs(dtype))
            found = f"{outs[dtype].dtype} {outs[dtype].shape}"
            assert found == expected, f"{dtype.__name__} latents gave {found}, expected {expected}"
            assert bool(jnp.all(jnp.isfinite(outs[dtype]))), f"the {dtype.__name__} prediction is not finite"
        error = jnp.sqrt(jnp.mean(jnp.square(outs[jnp.float32] - outs[jnp.bfloat16])))
        share = float(error / jnp.std(outs[jnp.float32]))
        assert share < 0.05, f"bfloat16 changes the prediction by {share:.1%} of its standard deviation"

    def test_rows_are_independent_and_masked_text_changes_nothing_within_a_row(self) -> None:
        """A picture depends on its own latents and text alone, and not on padded tokens."""
        latents, time, tokens, mask = self._inputs(jnp.float32)
        before = self._apply(latents, time, tokens, mask)
        junk = jnp.where(mask[:, :, None], 0.0, 3.0).at[2].set(0.0)
        message = "tokens outside the mask changed the prediction"
        after = self._apply(latents, time, tokens + junk, mask)
        np.testing.assert_allclose(after, before, atol=1e-5, err_msg=message)
        other = self._apply(latents.at[1].set(0.0), time, tokens.at[1].set(1.0), mask)
        message = "another picture of the batch changed the prediction of this one"
        np.testing.assert_allclose(other[::2], before[::2], atol=1e-5, err_msg=message)
        moved = float(jnp.max(jnp.abs(other[1] - before[1])))
        assert moved > 1e-4, f"other latents and other text changed the prediction by {moved:.1e} only"

    def test_reads_the_text(self) -> None:
        """Other text gives another prediction."""
        latents, time, tokens, mask = self._inputs(jnp.float32)
        before = self._apply(latents, time, tokens, mask)
        after = self._apply(latents, time, tokens[::-1], mask)
        moved = float(jnp.max(jnp.abs(after[0] - before[0])))
        assert moved > 1e-5, f"other text changed the prediction by {moved:.1e} only"

    def test_conditionings_join_along_the_batch(self) -> None:
        """Every array of a conditioning has the batch as its first axis, so that two can be joined."""
        latents, time, tokens, mask = self._inputs(jnp.float32)
        graphdef, params = nnx.split(self._build())
        backbone = nnx.merge(graphdef, fill_zeros(params))
        first = backbone.condition(tokens, mask)
        second = backbone.condition(tokens[::-1], mask[::-1])
        joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), first, second)
        whole = jnp.concatenate([latents, latents]), jnp.concatenate([time, time])
        out = backbone(*whole, joined)
        message = "joined conditionings gave another prediction than each alone"
        for half, alone in ((out[:3], first), (out[3:], second)):
            np.testing.assert_allclose(half, backbone(latents, time, alone), atol=1e-5, err_msg=message)

    def test_gradients_are_finite_with_a_row_without_text(self) -> None:
        """Gradients are finite, also for a prompt without any token."""
        graphdef, params = nnx.split(self._build())
        latents, time, tokens, mask = self._inputs(jnp.float32)

        def loss(params: nnx.State) -> jax.Array:
            backbone = nnx.merge(graphdef, params)
            return jnp.mean(jnp.square(backbone(latents, time, backbone.condition(tokens, mask)) - latents))

        gradients = jax.jit(jax.grad(loss), compiler_options=_COMPILER)(params)
        wrong = [
            jax.tree_util.keystr(path)
            for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
            if not bool(jnp.all(jnp.isfinite(leaf)))
        ]
        assert not wrong, f"the gradients of {', '.join(wrong)} are not finite"

    def _build(self) -> Any:
        return self.component.build(self.spec, jax.random.key(0))

    def _apply(self, latents: jax.Array, time: jax.Array, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        graphdef, params = nnx.split(self._build())

        def run(params: nnx.State, *inputs: jax.Array) -> jax.Array:
            backbone = nnx.merge(graphdef, params)
            return backbone(inputs[0], inputs[1], backbone.condition(inputs[2], inputs[3]))

        return jax.jit(run, compiler_options=_COMPILER)(fill_zeros(params), latents, time, tokens, mask)

    def _inputs(self, dtype: Any) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        keys = jax.random.split(jax.random.key(1))
        shape = (3, self.spec.height, self.spec.width, self.spec.channels)
        latents = jax.random.normal(keys[0], shape).astype(dtype)
        tokens = jax.random.normal(keys[1], (3, NUM_TEXT, self.component.hidden_width)).astype(dtype)
        mask = jnp.arange(NUM_TEXT)[None] < jnp.asarray([7, 3, 0])[:, None]
        return latents, jnp.asarray([0.1, 0.5, 0.9], jnp.float32), tokens, mask
