"""The conformance suite of backbones."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks.testing import ComponentSuite

from i1_model.backbones import BackboneConfig, LatentSpec

NUM_TEXT = 7
_COMPILER: Any = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class BackboneSuite(ComponentSuite[BackboneConfig]):
    """What every backbone must do; subclass it in a test file, with a small configuration.

    Example:
        class TestMine(BackboneSuite):
            component = MyBackbone(hidden_width=16, depth=3)
    """

    spec: LatentSpec = LatentSpec(height=8, width=8, channels=4, resolution=256, num_text_tokens=NUM_TEXT)

    def test_shapes_are_known_without_computing_and_parameters_are_float32(self) -> None:
        params = jax.eval_shape(lambda: nnx.split(self._build())[1])
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))

    def test_predicts_float32_latents_in_both_dtypes(self) -> None:
        outs = {}
        for dtype in (jnp.float32, jnp.bfloat16):
            outs[dtype] = self._apply(*self._inputs(dtype))
            assert outs[dtype].shape == (3, 8, 8, 4)
            assert outs[dtype].dtype == jnp.float32
        error = jnp.sqrt(jnp.mean(jnp.square(outs[jnp.float32] - outs[jnp.bfloat16])))
        assert float(error) < 0.05 * float(jnp.std(outs[jnp.float32]))

    def test_rows_are_independent_and_masked_text_changes_nothing_within_a_row(self) -> None:
        latents, time, tokens, mask = self._inputs(jnp.float32)
        before = self._apply(latents, time, tokens, mask)
        junk = jnp.where(mask[:, :, None], 0.0, 3.0).at[2].set(0.0)
        np.testing.assert_allclose(self._apply(latents, time, tokens + junk, mask), before, atol=1e-5)
        other = self._apply(latents.at[1].set(0.0), time, tokens.at[1].set(1.0), mask)
        np.testing.assert_allclose(other[::2], before[::2], atol=1e-5)
        assert float(jnp.max(jnp.abs(other[1] - before[1]))) > 1e-4

    def test_reads_the_text(self) -> None:
        latents, time, tokens, mask = self._inputs(jnp.float32)
        before = self._apply(latents, time, tokens, mask)
        after = self._apply(latents, time, tokens[::-1], mask)
        assert float(jnp.max(jnp.abs(after[0] - before[0]))) > 1e-5

    def test_conditionings_join_along_the_batch(self) -> None:
        latents, time, tokens, mask = self._inputs(jnp.float32)
        backbone = self._build()
        first = backbone.condition(tokens, mask)
        second = backbone.condition(tokens[::-1], mask[::-1])
        joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), first, second)
        whole = jnp.concatenate([latents, latents]), jnp.concatenate([time, time])
        out = backbone(*whole, joined)
        np.testing.assert_allclose(out[:3], backbone(latents, time, first), atol=1e-5)
        np.testing.assert_allclose(out[3:], backbone(latents, time, second), atol=1e-5)

    def test_gradients_are_finite_with_a_row_without_text(self) -> None:
        graphdef, params = nnx.split(self._build())
        latents, time, tokens, mask = self._inputs(jnp.float32)

        def loss(params: nnx.State) -> jax.Array:
            backbone = nnx.merge(graphdef, params)
            return jnp.mean(jnp.square(backbone(latents, time, backbone.condition(tokens, mask)) - latents))

        gradients = jax.jit(jax.grad(loss), compiler_options=_COMPILER)(params)
        assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(gradients))

    def _build(self) -> Any:
        return self.component.build(self.spec, jax.random.key(0))

    def _apply(self, latents: jax.Array, time: jax.Array, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        graphdef, params = nnx.split(self._build())

        def run(params: nnx.State, *inputs: jax.Array) -> jax.Array:
            backbone = nnx.merge(graphdef, params)
            return backbone(inputs[0], inputs[1], backbone.condition(inputs[2], inputs[3]))

        return jax.jit(run, compiler_options=_COMPILER)(params, latents, time, tokens, mask)

    def _inputs(self, dtype: Any) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        keys = jax.random.split(jax.random.key(1))
        shape = (3, self.spec.height, self.spec.width, self.spec.channels)
        latents = jax.random.normal(keys[0], shape).astype(dtype)
        tokens = jax.random.normal(keys[1], (3, NUM_TEXT, self.component.hidden_width)).astype(dtype)
        mask = jnp.arange(NUM_TEXT)[None] < jnp.asarray([7, 3, 0])[:, None]
        return latents, jnp.asarray([0.1, 0.5, 0.9], jnp.float32), tokens, mask
