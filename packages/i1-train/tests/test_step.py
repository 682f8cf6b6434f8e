"""The step: one function of state, frozen arrays and batch."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_data.pipeline import make_batches
from i1_hooks import override
from i1_model.text_encoders.hash import HashEncoder
from i1_train.config import Average
from i1_train.guard import Guard
from i1_train.parts import build_parts
from i1_train.recipes.scenes import scenes_tiny
from i1_train.step import decay_at, init_state, make_step, to_float, update_average


def first_batch(config, parts):
    batches = make_batches(
        dataclasses.replace(config.data, num_threads=0), batch_size=4, seed=0, tokenize=parts.tokenize
    )
    batch = next(batches)
    batches.close()
    return {"image": batch["image"], "tokens": batch["tokens"]}


def one_step(config, steps=1):
    parts = build_parts(config)
    constants = parts.constants(config.seed)
    state = jax.jit(lambda key: init_state(parts, key))(constants["key"])
    batch, step = first_batch(config, parts), make_step(config, parts)
    before = jax.device_get(state)
    for _ in range(steps):
        state, metrics = step(state, constants, batch)
    return before, jax.device_get(state), jax.device_get(metrics)


def test_positions_stay_and_all_else_moves():
    before, after, metrics = one_step(scenes_tiny())
    unmoved = {p for p in after["params"] if np.array_equal(before["params"][p], after["params"][p])}
    unread = {p for p in unmoved if "t_embedder/" in p or re.search("final/.*_text/", p)}
    assert unmoved - unread == {"backbone/pos_embed"}
    assert "backbone/pos_embed" not in after["ema"]
    assert int(after["step"]) == 1
    assert all(value.dtype == np.float32 for value in metrics.values())


def test_accumulated_gradients_are_those_of_the_whole_batch():
    whole, parts = (one_step(dataclasses.replace(scenes_tiny(), grad_accumulation=count)) for count in (1, 2))
    np.testing.assert_allclose(parts[2]["loss"], whole[2]["loss"], rtol=1e-5)
    np.testing.assert_allclose(parts[2]["grad_norm"], whole[2]["grad_norm"], rtol=1e-3)


def abstract_step(config):
    """Traces one step; returns the shapes of the states before and after it."""
    parts = build_parts(config)
    constants = parts.constants(0)
    state = jax.eval_shape(lambda key: init_state(parts, key), constants["key"])
    after, _ = jax.eval_shape(make_step(config, parts), state, constants, first_batch(config, parts))
    return state, after


def test_several_encoders_have_their_own_parameters():
    tiny = scenes_tiny()
    encoders = (HashEncoder(num_tokens=32, width=32), HashEncoder(num_tokens=40, width=16))
    model = dataclasses.replace(tiny.model, text_encoders=encoders, null_caption_prob=(0.0, 1.0))
    _, after = abstract_step(dataclasses.replace(tiny, model=model))
    shapes = [after["params"][f"null_captions/{index}"].shape for index in (0, 1)]
    assert shapes == [(1, 32, 32), (1, 40, 16)]


def test_pixels_are_in_minus_one_to_one():
    pixels = to_float(jnp.arange(256, dtype=jnp.uint8))
    assert pixels.dtype == jnp.float32
    np.testing.assert_allclose(pixels, np.linspace(-1, 1, 256), atol=1e-6)


def test_the_average_warms_up_when_asked():
    config = dataclasses.replace(scenes_tiny(), average=Average(decay=0.9, warmup=True))
    decays = [float(decay_at(config.average, jnp.int32(step))) for step in (0, 9, 1000)]
    np.testing.assert_allclose(decays, [2 / 11, 11 / 20, 0.9], rtol=1e-6)
    published = float(decay_at(Average(decay=0.9), jnp.int32(0)))
    assert published == pytest.approx(0.9)


def test_the_average_is_float32():
    mean = update_average({"a": jnp.zeros(2)}, {"a": jnp.ones(2, jnp.bfloat16)}, jnp.float32(0.75))
    np.testing.assert_array_equal(mean["a"], [0.25, 0.25])
    assert mean["a"].dtype == jnp.float32


@pytest.mark.parametrize("optimizer", ["muon", "adafactor"])
def test_other_optimizers_fit_the_network(optimizer):
    state, after = abstract_step(
        override(scenes_tiny(), [f"optimizer={optimizer}", "optimizer.weight_decay=0.1"])
    )
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert [x.dtype for x in jax.tree.leaves(after)] == [x.dtype for x in jax.tree.leaves(state)]


@pytest.mark.slow
def test_a_step_that_is_not_finite_is_skipped_whole():
    config = dataclasses.replace(scenes_tiny(), guard=Guard(on_nonfinite="skip"))
    parts = build_parts(config)
    constants = parts.constants(config.seed)
    state = jax.jit(lambda key: init_state(parts, key))(constants["key"])
    broken = next(path for path in parts.update.trained if path.endswith("kernel"))
    state["params"][broken] = state["params"][broken] * jnp.nan
    before = jax.device_get(state)
    after, metrics = make_step(config, parts)(state, constants, first_batch(config, parts))
    assert np.isnan(metrics["loss"])
    assert metrics["guard/skipped"] == 1
    assert int(after["step"]) == 1
    for name in ("params", "ema", "opt", "loss_mean"):
        jax.tree.map(np.testing.assert_array_equal, before[name], jax.device_get(after[name]))
