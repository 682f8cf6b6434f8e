"""The whole network: choices that change no number, hoisted conditioning, dropping, dtypes, names."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_hooks import UserError, from_dict, to_dict
from i1_model.adapters import MLPAdapter, TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import BackboneConfig, CrossAttention, DualStream, SingleStream
from i1_model.checkpoints.names import from_released, to_released
from i1_model.config import ModelConfig
from i1_model.denoiser import Denoiser, draw_dropped, init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.layers.positions import FrozenTable
from i1_model.text_encoders.hash import HashEncoder
from model_goldens import QUICK

BATCH, TOKENS, WIDTH = 3, 6, 16
SIZE = {"hidden_width": 16, "num_heads": 2, "depth": 5}


def make_config(backbone: BackboneConfig | None = None, **changes) -> ModelConfig:
    config = ModelConfig(
        backbone=backbone or DualStream(**SIZE),
        adapter=MLPAdapter(),
        text_encoders=(HashEncoder(num_tokens=TOKENS, width=WIDTH),),
        autoencoder=PatchAutoencoder(factor=4),
        flow=RectifiedFlow(),
        resolution=32,
    )
    return dataclasses.replace(config, **changes)


def inputs(num_encoders: int = 1):
    keys = jax.random.split(jax.random.key(5), 2)
    latents = jax.random.normal(keys[0], (BATCH, 8, 8, 48))
    captions = [
        jax.random.normal(jax.random.fold_in(keys[1], i), (BATCH, TOKENS, WIDTH)) for i in range(num_encoders)
    ]
    masks = [jnp.arange(TOKENS)[None] < jnp.asarray([6, 2, 0])[:, None]] * num_encoders
    return latents, jnp.asarray([0.1, 0.5, 0.9]), captions, masks


def loss_and_gradients(config: ModelConfig):
    graphdef, params = nnx.split(init_denoiser(config, jax.random.key(0)))
    batch = inputs(len(config.text_encoders))

    def loss(params):
        return jnp.mean(jnp.square(nnx.merge(graphdef, params)(*batch) - batch[0]))

    return jax.jit(jax.value_and_grad(loss), compiler_options=QUICK)(params)


CHOICES = (
    {"layers": "scan", "remat": "full"},
    {"layers": "scan"},
    {"layers": "loop"},
    {"remat": "dots"},
    {"remat": "saved"},
)


@pytest.mark.parametrize(
    ("backbone", "choices"),
    [
        (DualStream(**SIZE), CHOICES),
        (CrossAttention(**SIZE, long_skip=False), CHOICES[:1]),
        pytest.param(CrossAttention(**SIZE, long_skip=False), CHOICES[1:], marks=pytest.mark.slow),
    ],
)
def test_scan_and_remat_change_no_number(backbone, choices):
    expected = loss_and_gradients(make_config(backbone))
    for changes in choices:
        actual = loss_and_gradients(make_config(dataclasses.replace(backbone, **changes)))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-6), actual, expected)


def test_conditioning_once_is_the_same_as_all_at_once():
    latents, time, captions, masks = inputs()
    denoiser = init_denoiser(make_config(SingleStream(**SIZE)), jax.random.key(0))
    graphdef, params = nnx.split(denoiser)
    run = jax.jit(lambda p, method, *x: getattr(nnx.merge(graphdef, p), method)(*x), static_argnums=1)
    conditioning = run(params, "condition", captions, masks)
    assert all(leaf.shape[0] == BATCH for leaf in jax.tree.leaves(conditioning))
    hoisted = run(params, "denoise", latents, time, conditioning)
    np.testing.assert_allclose(hoisted, run(params, "__call__", latents, time, captions, masks), atol=1e-6)


def test_a_dropped_row_gets_the_null_caption_and_keeps_its_mask():
    _, _, captions, masks = inputs()
    denoiser = init_denoiser(make_config(), jax.random.key(0))
    drop = jnp.asarray([False, True, False])
    plain, dropped = denoiser.condition(captions, masks), denoiser.condition(captions, masks, [drop])
    null = denoiser.condition([jnp.broadcast_to(denoiser.null_captions[0][...], captions[0].shape)], masks)
    np.testing.assert_array_equal(dropped.mask, plain.mask)
    np.testing.assert_allclose(dropped.tokens[1], null.tokens[1], atol=1e-6)
    np.testing.assert_allclose(dropped.tokens[::2], plain.tokens[::2], atol=1e-6)


def test_without_adaln_the_time_changes_nothing():
    latents, time, captions, masks = inputs()
    denoiser = init_denoiser(make_config(DualStream(**SIZE, layers="scan")), jax.random.key(0))
    conditioning = denoiser.condition(captions, masks)
    np.testing.assert_array_equal(
        denoiser.denoise(latents, time, conditioning), denoiser.denoise(latents, 1 - time, conditioning)
    )


def test_bfloat16_is_near_float32_and_the_parameters_stay_float32():
    latents, time, captions, masks = inputs()
    backbone = DualStream(**SIZE, layers="scan", adaln="time_and_text")
    outs = []
    for dtype in ("float32", "bfloat16"):
        denoiser = init_denoiser(make_config(backbone, compute_dtype=dtype), jax.random.key(0))
        assert {leaf.dtype for leaf in jax.tree.leaves(nnx.split(denoiser)[1])} == {jnp.dtype("float32")}
        outs.append(denoiser(latents, time, captions, masks))
    assert outs[1].dtype == jnp.float32
    assert 0 < float(jnp.std(outs[1] - outs[0])) < 0.05 * float(jnp.std(outs[0]))


def test_only_the_position_table_is_frozen():
    _, frozen, _ = nnx.split(init_denoiser(make_config(), jax.random.key(0)), FrozenTable, ...)
    assert list(to_released(frozen)) == ["pos_embed"]


def test_several_encoders_take_turns_after_one_another():
    config = make_config(
        text_encoders=(HashEncoder(num_tokens=TOKENS, width=WIDTH),) * 2, null_caption_prob=(0.1, 0.2)
    )
    denoiser = init_denoiser(config, jax.random.key(0))
    _, _, captions, masks = inputs(2)
    both = denoiser.condition(captions, masks)
    assert both.tokens.shape == (BATCH, 2 * TOKENS, 16)
    np.testing.assert_allclose(
        both.tokens[:, :TOKENS], denoiser.adapters[0](captions[0], masks[0]), atol=1e-6
    )
    with pytest.raises(UserError, match=r"captions: got 1 .* 2 text encoders"):
        denoiser.condition(captions[:1], masks)


def test_drops_are_shared_or_independent():
    key = jax.random.key(0)
    shared = draw_dropped(key, 0.5, 64, 2)
    np.testing.assert_array_equal(shared[0], shared[1])
    apart = draw_dropped(key, (0.5, 0.5), 64, 2)
    assert not np.array_equal(apart[0], apart[1])
    assert not np.any(draw_dropped(key, 0.0, 64, 1)[0])


@pytest.mark.parametrize(
    "backbone",
    [
        DualStream(**SIZE, image_connector=True),
        SingleStream(**SIZE, refiner_layers=1),
        CrossAttention(**SIZE),
    ],
)
def test_released_names_go_there_and_back(backbone):
    config = make_config(backbone, adapter=TransformerAdapter(num_heads=2))
    params = nnx.split(init_denoiser(config, jax.random.key(3)))[1]
    released = {name: np.asarray(array) for name, array in to_released(params).items()}
    assert "blocks_4/mlp_image/w3/kernel" in released or "blocks_4/mlp/w3/kernel" in released
    assert not any("stacked" in name or "/final/" in name for name in released)
    jax.tree.map(np.testing.assert_array_equal, from_released(config, released), params)


@pytest.mark.parametrize("family", [DualStream, SingleStream, CrossAttention])
@pytest.mark.parametrize("adaln", ["none", "text"])
def test_a_time_embedder_that_nothing_reads_can_be_left_out(family, adaln):
    unread = make_config(family(**SIZE, layers="scan", adaln=adaln))
    without = make_config(family(**SIZE, layers="scan", adaln=adaln, time_embedder=False))
    released = to_released(nnx.split(init_denoiser(unread, jax.random.key(3)))[1])
    fewer = {name: array for name, array in released.items() if not name.startswith("t_embedder/")}
    assert len(released) == len(fewer) + 4
    outs = []
    for config, arrays in ((unread, released), (without, fewer)):
        params = from_released(config, {name: np.asarray(array) for name, array in arrays.items()})
        graphdef, expected = nnx.split(jax.eval_shape(lambda: init_denoiser(config, jax.random.key(0))))  # noqa: B023
        assert jax.tree.structure(params) == jax.tree.structure(expected)
        outs.append(jax.jit(lambda *batch: nnx.merge(graphdef, params)(*batch))(*inputs()))  # noqa: B023
    np.testing.assert_array_equal(outs[0], outs[1])


@pytest.mark.parametrize("adaln", ["time", "time_and_text"])
def test_a_time_embedder_that_is_read_cannot_be_left_out(adaln):
    with pytest.raises(UserError, match=f"time_embedder false with adaln '{adaln}', which reads the time"):
        DualStream(adaln=adaln, time_embedder=False)


def test_a_configuration_written_before_the_option_has_a_time_embedder():
    stored = to_dict(make_config())
    del stored["backbone"]["time_embedder"]
    assert from_dict(ModelConfig, stored) == make_config()


def test_all_differences_are_named_at_once():
    config = make_config()
    params = nnx.split(jax.eval_shape(lambda: init_denoiser(config, jax.random.key(0))))[1]
    arrays = {name: np.zeros(leaf.shape, np.float32) for name, leaf in to_released(params).items()}
    del arrays["x_embedder/proj/bias"]
    arrays["blocks_9/norm1/scale"] = np.zeros(16)
    arrays["blocks_4/norm1/scale"] = np.zeros(17)
    with pytest.raises(UserError) as caught:
        from_released(config, arrays)
    for name in ("x_embedder/proj/bias", "blocks_9/norm1/scale", "blocks_4/norm1/scale"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_encoders": ()}, "text_encoders is empty"),
        ({"resolution": 33}, "resolution 33"),
        ({"null_caption_prob": (0.1, 0.2)}, "2 values for 1 text encoders"),
        ({"null_caption_prob": 1.5}, "1.5"),
    ],
)
def test_parts_that_do_not_fit_together(changes, message):
    with pytest.raises(UserError, match=message):
        make_config(**changes)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (DualStream(hidden_width=16, num_heads=3), "num_heads 3"),
        (DualStream(hidden_width=16, num_heads=2, depth=4), "depth 4"),
        (DualStream(hidden_width=16, num_heads=2, patch_size=3), "patch_size 3"),
        (DualStream(hidden_width=16, num_heads=2, rope_axes_dims=(2, 2, 2)), "rope_axes_dims"),
        (CrossAttention(hidden_width=20, num_heads=2), "multiple of 4"),
    ],
)
def test_sizes_that_do_not_fit_together(backbone, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: Denoiser(make_config(backbone), jax.random.key(0)))


def test_json():
    config = make_config(SingleStream(**SIZE, rope_axes_dims=(4, 2, 2)), null_caption_prob=(0.1,))
    assert from_dict(ModelConfig, to_dict(config)) == config


TREE_MODE = """
import jax, jax.numpy as jnp
from flax import nnx
from i1_model.adapters import TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.checkpoints.names import from_released, to_released
from i1_model.text_encoders.hash import HashEncoder
config = ModelConfig(
    backbone=DualStream(hidden_width=16, num_heads=2, depth=3, layers="scan"),
    adapter=TransformerAdapter(num_heads=2),
    text_encoders=(HashEncoder(num_tokens=4, width=16),), autoencoder=PatchAutoencoder(factor=4),
    flow=RectifiedFlow(), resolution=32)
graphdef, params = nnx.split(init_denoiser(config, jax.random.key(0)))
def loss(params, latents):
    caption, mask = jnp.ones((2, 4, 16)), jnp.ones((2, 4), bool)
    return jnp.mean(nnx.merge(graphdef, params)(latents, jnp.zeros(2), [caption], [mask]) ** 2)
gradients = jax.jit(jax.grad(loss))(params, jnp.ones((2, 8, 8, 48)))
assert to_released(from_released(config, to_released(params))).keys() == to_released(gradients).keys()
"""


def test_runs_without_nnx_graph_mode():
    environment = {**os.environ, "NNX_GRAPH_MODE": "false", "NNX_GRAPH_UPDATES": "false"}
    subprocess.run([sys.executable, "-c", TREE_MODE], env=environment, check=True)


def test_importing_the_package_and_its_plugin_stays_light():
    code = "import sys, i1_model, i1_model.plugin; assert not {'jax', 'numpy', 'flax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
