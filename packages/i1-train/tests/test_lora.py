import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_hooks import UserError
from i1_model.arrays.trees import flatten
from i1_model.checkpoints.folder import load_model, save_model
from i1_model.checkpoints.names import to_released
from i1_model.denoiser import init_denoiser
from i1_model.lora.factors import merge
from i1_model.lora.folder import load_adapter
from i1_train.checkpoints.weights import read_weights, with_weights
from i1_train.lora import fingerprint
from i1_train.parts import build_parts
from small_runs import arrays, assert_same_run, recipe, run

TARGETS = '["blocks_[0234]/attn/.*", "blocks_4/mlp_image/w12"]'


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    model = recipe("model.backbone.depth=5").model
    params = nnx.state(init_denoiser(model, jax.random.key(3)))
    save_model(folder, model, params, metadata={})
    return folder


def settings(base, *more):
    return (
        "model.backbone.depth=5",
        f'start={{"weights":"{base}"}}',
        "lora.rank=4",
        "lora.alpha=8",
        "lora.base_dtype=float32",
        f"lora.targets={TARGETS}",
        "average.decay=0.5",
        "checkpoints.every=2",
        "steps=4",
        *more,
    )


@pytest.fixture(scope="module")
def finished(base, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("lora")
    run(workdir, *settings(base))
    return workdir


def test_only_lora_is_trained_and_stored(base, finished):
    state = arrays(finished, 4)
    paths = {name.split("'")[3] for name in state if name.startswith("['params']")}
    assert paths
    assert all(path.endswith(("/lora/a", "/lora/b")) for path in paths)
    assert not any("/mlp_text/" in path for path in paths)
    b = state["['params']['backbone/blocks/stacked_in/attn/qkv_image/lora/b']"]
    assert np.any(b[0] != 0)
    np.testing.assert_array_equal(b[1], 0)  # blocks_1 is stored with blocks_0 and is no target
    assert not any("kernel" in name for name in state)


def test_the_model_folder_is_small_and_names_its_base(base, finished):
    folder = finished / "checkpoints" / "4" / "model"
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < (base / "model.safetensors").stat().st_size / 4
    record = json.loads((folder / "config.json").read_text())
    assert record["adapter"] == {"base": str(base.resolve()), "ranks": [4], "layers": 17}
    assert (record["step"], record["recipe"]) == (4, "scenes-tiny")


def test_lora_computes_what_the_base_and_then_the_merged_weights_do(base, finished):
    config = recipe(*settings(base))
    parts = build_parts(config)
    folder = load_adapter(finished / "checkpoints" / "4" / "model")
    loaded = load_model(base)
    merged = merge(loaded.config, loaded.params, [(folder.adapter, 1.0)])
    before, after = to_released(loaded.params), to_released(merged)
    changed = {name for name in before if np.any(before[name] != after[name])}
    unread = {"blocks_4/attn/proj_text"}  # the last block has no text output
    assert changed == {f"{name}/kernel" for name in _targets(config) if name not in unread}

    state = arrays(finished, 4)
    lora = {path: state[f"['ema']['{path}']"] for path in parts.network.shapes if "/lora/" in path}
    shape = (2, *config.model.latent_shape)
    keys = jax.random.split(jax.random.key(0))
    latents, caption = jax.random.normal(keys[0], shape), jax.random.normal(keys[1], (2, 32, 32))

    @jax.jit
    def predict(denoiser):
        return denoiser(latents, jnp.full((2,), 0.5), [caption], [jnp.ones((2, 32), bool)])

    graphdef, _ = nnx.split(nnx.eval_shape(lambda: init_denoiser(config.model, jax.random.key(0))))
    plain = predict(nnx.merge(graphdef, loaded.params))
    fresh = _fresh(parts)
    np.testing.assert_array_equal(predict(parts.network.denoiser({**parts.base, **fresh})), plain)

    unmerged = predict(parts.network.denoiser({**parts.base, **lora}))
    np.testing.assert_allclose(unmerged, predict(nnx.merge(graphdef, merged)), rtol=2e-4, atol=2e-4)
    assert float(jnp.abs(unmerged - plain).max()) > 1e-3


def _targets(config):
    from i1_model.lora.layers import find_layers, select

    return [layer.name for layer in select(find_layers(config.model), config.lora.targets)]


def test_going_on_is_exact(base, finished, tmp_path):
    run(tmp_path, *settings(base, "steps=3", "checkpoints.every=3"))
    (tmp_path / "config.json").write_text((finished / "config.json").read_text())
    run(tmp_path, *settings(base))
    assert_same_run(finished, tmp_path, 4)


def test_full_fine_tuning_begins_with_the_weights(base):
    config = recipe("model.backbone.depth=5")
    exact = flatten(load_model(base).params)
    found = read_weights(str(base), config.model, config.lora)
    assert found.keys() == exact.keys()
    state = {part: {path: jnp.zeros_like(v) for path, v in exact.items()} for part in ("params", "ema")}
    started = with_weights(state, found)
    for path, value in exact.items():
        np.testing.assert_array_equal(started["params"][path], value)
        np.testing.assert_array_equal(started["ema"][path], value)
    larger = dataclasses.replace(config, model=dataclasses.replace(config.model, resolution=128))
    assert read_weights(str(base), larger.model, larger.lora)["backbone/pos_embed"].shape == (1, 64, 32)


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_a_quantized_base_is_close_to_the_weights(base, quantization):
    config = recipe(*settings(base, f"lora.quantization={quantization}", "lora.base_dtype=bfloat16"))
    parts = build_parts(config)
    path = "backbone/blocks/stacked_in/mlp_text/w12/kernel"
    codes, scales = parts.base[f"{path}/codes"], parts.base[f"{path}/scales"]
    assert codes.dtype.itemsize == 1
    assert scales.dtype == jnp.bfloat16
    kernel = parts.network.denoiser(
        {**parts.base, **_fresh(parts)}
    ).backbone.blocks.stacked_in.mlp_text.w12.kernel
    exact = flatten(load_model(base).params)[path]
    gap = float(jnp.abs(kernel[...].astype(jnp.float32) - exact).mean() / jnp.abs(exact).mean())
    assert gap < (0.01 if quantization == "int8" else 0.12)


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["int8", "int4", "nf4"])
def test_a_run_over_a_quantized_base_goes_on_exactly(base, quantization, tmp_path):
    options = settings(base, f"lora.quantization={quantization}", "lora.base_dtype=bfloat16")
    run(tmp_path / "straight", *options)
    run(tmp_path / "stopped", *options, "steps=2")
    run(tmp_path / "stopped", *options)
    assert_same_run(tmp_path / "straight", tmp_path / "stopped", 4)


def _fresh(parts):
    """Returns LoRA as before the first step: A of any value, B zero."""
    return {
        path: jnp.full(like.shape, 0.3 if path.endswith("/a") else 0.0)
        for path, like in parts.network.shapes.items()
        if "/lora/" in path
    }


def test_a_bfloat16_base_is_rounded_once(base):
    parts = build_parts(recipe(*settings(base, "lora.base_dtype=bfloat16")))
    exact = flatten(load_model(base).params)
    for path, value in parts.base.items():
        expected = exact[path].astype(value.dtype)
        np.testing.assert_array_equal(value, expected, err_msg=path)
    assert parts.base["backbone/blocks/middle/attn/proj_text/kernel"].dtype == jnp.bfloat16
    assert parts.base["backbone/final_layer/linear/kernel"].dtype == jnp.float32
    assert parts.base["backbone/blocks/middle/norm1/scale"].dtype == jnp.float32


def test_mistakes_are_named(base, finished, tmp_path):
    with pytest.raises(UserError, match=r"name them with --init-from PATH"):
        build_parts(recipe("lora.rank=4"))
    with pytest.raises(UserError, match=r"lora.targets: 'blocks_9.*' matches no layer in full; layers are"):
        build_parts(recipe(*settings(base, 'lora.targets=["blocks_9.*"]')))
    with pytest.raises(UserError, match=r"start.weights absent: unknown model 'absent'"):
        build_parts(recipe(*settings(base), 'start={"weights":"absent"}'))
    with pytest.raises(UserError, match="holds only a LoRA"):
        build_parts(recipe(*settings(base), f'start={{"weights":"{finished}"}}'))


def test_other_weights_are_noticed(base, finished):
    parts = build_parts(recipe(*settings(base)))
    saved = json.loads((finished / "checkpoints" / "4" / "run.json").read_text())["base"]
    assert fingerprint(parts.base) == saved
    path = "backbone/blocks/middle/norm1/scale"
    assert fingerprint({**parts.base, path: parts.base[path].at[0].add(1e-7)}) != saved
