import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_hooks import UserError
from i1_model.adapters import TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import CrossAttention, DualStream, SingleStream
from i1_model.backbones.base import Backbone
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.layers.positions import sinusoidal_table
from i1_model.text_encoders.hash import HashEncoder

BACKBONES = {
    "dual": DualStream(hidden_width=16, num_heads=2, depth=3, layers="scan"),
    "single": SingleStream(hidden_width=16, num_heads=2, depth=3, layers="scan"),
    "cross": CrossAttention(hidden_width=16, num_heads=2, depth=3, layers="scan"),
}


def config(backbone, resolution):
    return ModelConfig(
        backbone=backbone,
        adapter=TransformerAdapter(num_blocks=1, num_heads=2),
        text_encoders=(HashEncoder(num_tokens=4, width=16),),
        autoencoder=PatchAutoencoder(factor=8),
        flow=RectifiedFlow(),
        resolution=resolution,
    )


def predict(model, height, width):
    graphdef, params = nnx.split(model)
    latents = jax.random.normal(jax.random.key(1), (1, height, width, 192))
    caption = [jax.random.normal(jax.random.key(2), (1, 4, 16))]

    @jax.jit
    def run(params):
        denoiser = nnx.merge(graphdef, params)
        denoiser.set_size(height, width)
        return denoiser(latents, jnp.full((1,), 0.5), caption, [jnp.ones((1, 4), bool)])

    return run(params)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_larger_square_is_the_model_of_that_resolution(name):
    small, large = (config(BACKBONES[name], resolution) for resolution in (32, 64))
    key = jax.random.key(0)
    np.testing.assert_array_equal(
        predict(init_denoiser(small, key), 8, 8), predict(init_denoiser(large, key), 8, 8)
    )


def test_positions_of_an_upright_picture():
    denoiser = init_denoiser(config(BACKBONES["dual"], 64), jax.random.key(0))
    before = denoiser.backbone.pos_embed[...]
    denoiser.set_size(8, 8)
    assert denoiser.backbone.pos_embed[...] is before
    denoiser.set_size(16, 4)  # 128 x 32 pixels: the area of 64 x 64
    backbone = denoiser.backbone
    assert (backbone.grid, backbone.scale, denoiser.size) == ((8, 2), 256 / 64, (16, 4))
    expected = sinusoidal_table(16, (8, 2), 256 / 64)
    np.testing.assert_array_equal(backbone.pos_embed[...], expected)
    # Row r, column c of a picture stand where they stand in the square.
    square = np.asarray(before).reshape(4, 4, 16)
    np.testing.assert_allclose(expected.reshape(8, 2, 16)[:4], square[:, :2], rtol=1e-6)
    table = backbone.condition(jnp.zeros((1, 4, 16)), jnp.ones((1, 4), bool)).table
    assert table.cos.shape == (1, 8 * 2 + 4, 4)
    output = predict(denoiser, 16, 4)
    assert output.shape == (1, 16, 4, 192)


def test_sizes_that_do_not_fit_are_named():
    denoiser = init_denoiser(config(BACKBONES["dual"], 64), jax.random.key(0))
    with pytest.raises(UserError, match="patch_size 2 does not divide the latent of 7x4"):
        denoiser.set_size(7, 4)

    class Fixed(Backbone):
        def __call__(self, latents, time, conditioning):
            return latents

    with pytest.raises(UserError, match="Fixed is made for one size of pictures and cannot take 4x8"):
        Fixed().set_size(4, 8)


def test_no_option_of_the_model_is_lost():
    rope = dataclasses.replace(BACKBONES["dual"], positions="rope_only")
    denoiser = init_denoiser(config(rope, 64), jax.random.key(0))
    denoiser.set_size(4, 16)
    assert not hasattr(denoiser.backbone, "pos_embed")
