"""Sizes that no network can have: refused where they are written, with bounds that belong to the range."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest
from i1_hooks import UserError
from i1_model.adapters import MLPAdapter, TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import CrossAttention, DualStream, SingleStream
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.layers import GeluMLP, LayerNorm, Linear, RMSNorm, SwiGLU, make_feed_forward, make_norm
from i1_model.layers.limits import MAX_DEPTH, MAX_WIDTH, check_positive, check_size
from i1_model.layers.stack import BlockStack
from i1_model.text_encoders.hash import HashEncoder

KEY = jax.random.key(0)
NO_SIZES = (0, -1, -(10**30), 10**30, MAX_WIDTH + 1, math.inf, math.nan, 2.5, True, None, "4")


@pytest.mark.parametrize("value", NO_SIZES)
def test_a_size_is_a_whole_number_within_bounds(value):
    with pytest.raises(UserError, match=r"^width .*: use a whole number from 1 to 65536$"):
        check_size("width", value)


def test_bounds_belong_to_the_range():
    check_size("width", 1)
    check_size("width", MAX_WIDTH)
    check_size("layers", 0, smallest=0)
    check_size("depth", MAX_DEPTH, largest=MAX_DEPTH)
    check_positive("ratio", 5e-324)
    check_positive("ratio", 3)


@pytest.mark.parametrize("value", [0, 0.0, -1.0, math.inf, -math.inf, math.nan, True, None, "1"])
def test_a_factor_is_a_finite_number_above_zero(value):
    with pytest.raises(UserError, match=r"^ratio .*: use a finite number above 0$"):
        check_positive("ratio", value)


@pytest.mark.parametrize("backbone", [CrossAttention, DualStream, SingleStream])
@pytest.mark.parametrize("name", ["hidden_width", "num_heads", "depth", "patch_size"])
@pytest.mark.parametrize("value", [0, -3, 10**18])
def test_backbones_refuse_sizes(backbone, name, value):
    with pytest.raises(UserError, match=f"backbone {name} {value}: use a whole number from 1 to"):
        backbone(**{name: value})


@pytest.mark.parametrize("backbone", [CrossAttention, DualStream, SingleStream])
@pytest.mark.parametrize("name", ["mlp_ratio", "rope_theta"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_backbones_refuse_factors(backbone, name, value):
    with pytest.raises(UserError, match=f"backbone {name} {value}: use a finite number above 0"):
        backbone(**{name: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SingleStream(refiner_layers=-1), "refiner_layers -1"),
        (lambda: DualStream(rope_axes_dims=(-2, 4, 6)), "rope_axes_dims -2"),
        (lambda: DualStream(rope_axes_lens=(0, 4, 6)), "rope_axes_lens 0"),
        (lambda: DualStream(rope_axes_lens=(10**15, 4, 6)), "rope_axes_lens 1000000000000000"),
        (lambda: TransformerAdapter(num_blocks=0), "adapter num_blocks 0: .*or the adapter 'mlp'"),
        (lambda: TransformerAdapter(num_blocks=10**9), "adapter num_blocks 1000000000"),
        (lambda: TransformerAdapter(num_heads=0), "adapter num_heads 0"),
        (lambda: TransformerAdapter(mlp_ratio=math.inf), "adapter mlp_ratio inf"),
        (lambda: TransformerAdapter(num_heads=3).build(8, 8, KEY), "num_heads 3 does not divide"),
        (lambda: MLPAdapter().build(0, 8, KEY), "in_width 0"),
        (lambda: MLPAdapter().build(8, -8, KEY), "out_width -8"),
        (lambda: Linear(0, 4, KEY), "in_width 0"),
        (lambda: Linear(4, 10**12, KEY), "out_width 1000000000000"),
        (lambda: RMSNorm(-1), "norm width -1"),
        (lambda: LayerNorm(0), "norm width 0"),
        (lambda: make_norm("batch", 4), "norm 'batch'"),
        (lambda: make_feed_forward("relu", 4, 4.0, KEY), "feed_forward 'relu'"),
        (lambda: SwiGLU(4, 0.1, KEY), "mlp_ratio 0.1: width 4 leaves no inner features"),
        (lambda: SwiGLU(4, 1e300, KEY), "the inner width 4e.300 is above 1048576"),
        (lambda: GeluMLP(4, math.nan, KEY), "mlp_ratio nan"),
        (lambda: GeluMLP(0, 4.0, KEY), "width 0"),
        (lambda: BlockStack(lambda k, _: RMSNorm(4), 0, KEY, long_skip=False), "depth 0"),
        (lambda: BlockStack(lambda k, _: RMSNorm(4), MAX_DEPTH + 1, KEY, long_skip=True), "depth 1025"),
        (lambda: BlockStack(lambda k, _: RMSNorm(4), 1, KEY, long_skip=True), "an odd depth of at least 3"),
    ],
)
def test_layers_and_adapters_refuse_sizes(make, message):
    with pytest.raises(UserError, match=message):
        make()


def make_config(**changes) -> ModelConfig:
    config = ModelConfig(
        backbone=DualStream(hidden_width=16, num_heads=2, depth=3),
        adapter=MLPAdapter(),
        text_encoders=(HashEncoder(num_tokens=4, width=16),),
        autoencoder=PatchAutoencoder(factor=4),
        flow=RectifiedFlow(),
        resolution=32,
    )
    return dataclasses.replace(config, **changes)


@pytest.mark.parametrize("resolution", [0, -32, 2**40])
def test_a_model_refuses_resolutions(resolution):
    with pytest.raises(UserError, match=f"model.resolution {resolution}: use a whole number from 1 to 65536"):
        make_config(resolution=resolution)


def test_a_picture_of_too_many_tokens_is_refused_before_its_positions_are_computed():
    config = make_config(resolution=2**16)
    with pytest.raises(UserError, match="16384x16384 is 67108864 image tokens, more than 262144"):
        jax.eval_shape(lambda: init_denoiser(config, KEY))


@pytest.mark.parametrize(
    "backbone",
    [
        DualStream(hidden_width=4, num_heads=1, depth=1, long_skip=False),
        SingleStream(hidden_width=4, num_heads=1, depth=1, long_skip=False, refiner_layers=0),
        SingleStream(hidden_width=4, num_heads=1, depth=1, long_skip=False, refiner_layers=1),
        CrossAttention(hidden_width=4, num_heads=1, depth=1, long_skip=False),
        DualStream(hidden_width=4, num_heads=1, depth=3, mlp_ratio=0.5),
    ],
)
def test_the_smallest_sizes_run(backbone):
    config = make_config(
        backbone=backbone, text_encoders=(HashEncoder(num_tokens=1, width=16),), resolution=8
    )
    denoiser = init_denoiser(config, KEY)
    out = denoiser(
        jnp.ones((1, *config.latent_shape)), jnp.zeros(1), [jnp.ones((1, 1, 16))], [jnp.ones((1, 1), bool)]
    )
    assert out.shape == (1, 2, 2, 48)
    assert bool(jnp.isfinite(out).all())
