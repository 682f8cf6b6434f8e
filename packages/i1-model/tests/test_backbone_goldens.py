"""Recorded backbones of the published implementation: outputs, losses, gradients, caption dropping."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_model.checkpoints.names import from_released, to_released
from i1_model.denoiser import draw_dropped, init_denoiser
from model_goldens import QUICK, backbone_files, model_config, read_golden

OUTPUT_ATOL = 2e-5
GRADIENT_ATOL = 3e-5


def test_recorded_backbones_are_found():
    assert backbone_files()


@pytest.mark.golden
@pytest.mark.parametrize("path", backbone_files(), ids=lambda path: path.stem)
def test_output_loss_and_gradients(path: Path):
    golden = read_golden(path)
    config = model_config(golden.sidecar)
    graphdef, _ = nnx.split(jax.eval_shape(lambda: init_denoiser(config, jax.random.key(0))))
    params = from_released(config, golden.part("params/"))
    captions = [jnp.asarray(caption) for caption in golden.captions]
    masks = [jnp.asarray(mask) for mask in golden.masks]
    latents, time = jnp.asarray(golden.image("x")), jnp.asarray(golden.arrays["t"])
    target = jnp.asarray(golden.image("ut"))

    def loss(params, drop):
        out = nnx.merge(graphdef, params)(latents, time, captions, masks, drop)
        return jnp.mean(jnp.square(out - target)), out

    step = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=QUICK)
    nothing_dropped = [jnp.zeros(len(time), bool) for _ in captions]
    (value, out), gradients = step(params, nothing_dropped)
    np.testing.assert_allclose(out, golden.image("out"), rtol=0, atol=OUTPUT_ATOL)
    np.testing.assert_allclose(value, golden.arrays["loss"], rtol=0, atol=OUTPUT_ATOL)
    released = to_released(jax.tree.map(np.asarray, gradients))
    expected = golden.part("grads/")
    assert released.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(released[name], gradient, rtol=0, atol=GRADIENT_ATOL, err_msg=name)

    table = to_released(params).get("pos_embed")
    if table is not None:
        np.testing.assert_array_equal(table, golden.arrays["params/pos_embed"])
    if "train_record" in golden.sidecar:
        drop = [jnp.asarray(row.astype(bool)) for row in golden.arrays["train/drop_ids"]]
        (_, out), _ = step(params, drop * (len(captions) // len(drop)))
        np.testing.assert_allclose(out, golden.image("train/out"), rtol=0, atol=OUTPUT_ATOL)


@pytest.mark.golden
@pytest.mark.parametrize("path", backbone_files(), ids=lambda path: path.stem)
def test_rows_to_drop_come_from_the_recorded_keys(path: Path):
    golden = read_golden(path)
    if "train_record" not in golden.sidecar:
        pytest.skip("holds no training record")
    record = golden.sidecar["train_record"]
    probabilities = record["drop_text_prob"]
    for index, seen in enumerate(record["keys_seen_by_bernoulli"]):
        key = jax.random.wrap_key_data(jnp.asarray(seen, jnp.uint32))
        probability = probabilities[index] if isinstance(probabilities, list) else probabilities
        (dropped,) = draw_dropped(key, probability, len(golden.arrays["t"]), 1)
        np.testing.assert_array_equal(dropped, golden.arrays["train/drop_ids"][index])
