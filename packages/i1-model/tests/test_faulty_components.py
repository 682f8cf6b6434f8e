"""Components that return something wrong are named, with what came and what was expected."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from i1_hooks import UserError
from i1_model.adapters import Adapter, AdapterConfig, MLPAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import Backbone, BackboneConfig, Conditioning, DualStream
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders.hash import HashEncoder

CONFIG = ModelConfig(
    backbone=DualStream(hidden_width=16, num_heads=2, depth=3),
    adapter=MLPAdapter(),
    text_encoders=(HashEncoder(num_tokens=6, width=16),),
    autoencoder=PatchAutoencoder(factor=4),
    flow=RectifiedFlow(),
    resolution=32,
)


class GivenBackbone(Backbone):
    def __init__(self, config):
        self.config = config

    def condition(self, tokens, mask):
        return self.config.conditioning(tokens, mask)

    def __call__(self, latents, time, conditioning):
        return self.config.out(latents)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenBackboneConfig(BackboneConfig):
    hidden_width: int = 16
    out: object = None
    conditioning: object = lambda tokens, mask: Conditioning(tokens=tokens, mask=mask)
    built: object = GivenBackbone

    def build(self, spec, key):
        return self.built(self)


class GivenAdapter(Adapter):
    def __init__(self, config):
        self.config = config

    def __call__(self, tokens, mask):
        return self.config.out(tokens)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenAdapterConfig(AdapterConfig):
    out: object = None
    built: object = GivenAdapter

    def build(self, text_width, hidden_width, key):
        return self.built(self)


def trace(config=CONFIG, *, caption=(2, 6, 16), mask=(2, 6), latents=(2, 8, 8, 48), dtype=jnp.float32):
    arrays = [
        jax.ShapeDtypeStruct(latents, jnp.float32),
        jax.ShapeDtypeStruct((2,), jnp.float32),
        jax.ShapeDtypeStruct(caption, dtype),
        jax.ShapeDtypeStruct(mask, jnp.bool_),
    ]

    def run(latents, time, caption, mask):
        return init_denoiser(config, jax.random.key(0))(latents, time, [caption], [mask])

    return jax.eval_shape(run, *arrays)


def of_backbone(**fields):
    return dataclasses.replace(CONFIG, backbone=GivenBackboneConfig(**{"out": lambda x: x, **fields}))


def of_adapter(**fields):
    return dataclasses.replace(CONFIG, adapter=GivenAdapterConfig(**fields))


EXPECTED = "expected float32 (2, 8, 8, 48)"


@pytest.mark.parametrize(
    ("out", "came"),
    [
        (lambda x: x[..., :1], "float32 (2, 8, 8, 1)"),
        (lambda x: x.astype(jnp.bfloat16), "bfloat16 (2, 8, 8, 48)"),
        (lambda x: x[:1], "float32 (1, 8, 8, 48)"),
        (lambda x: x.reshape(2, 64, 48), "float32 (2, 64, 48)"),
        (lambda x: jnp.mean(x), "float32 ()"),
        (lambda x: (x, x), "tuple of float32 (2, 8, 8, 48), float32 (2, 8, 8, 48)"),
        (lambda x: None, "None"),
        (lambda x: 0.5, "float 0.5"),
    ],
)
def test_what_a_backbone_predicts(out, came):
    with pytest.raises(UserError) as caught:
        trace(of_backbone(out=out))
    message = str(caught.value)
    assert message.startswith("backbone 'GivenBackboneConfig' (")
    assert f"__call__(latents, time, conditioning) returned {came}, {EXPECTED}" in message


@pytest.mark.parametrize(
    ("conditioning", "came"),
    [
        (lambda tokens, mask: (tokens, mask), "tuple of float32 (2, 6, 16), bool (2, 6), expected a Cond"),
        (
            lambda tokens, mask: Conditioning(tokens=tokens[0], mask=mask),
            "float32 (6, 16), expected arrays whose first axis is the batch of 2",
        ),
        (lambda tokens, mask: Conditioning(tokens=tokens, mask=jnp.any(mask)), "bool (), expected arrays"),
    ],
)
def test_what_a_backbone_conditions_on(conditioning, came):
    with pytest.raises(UserError) as caught:
        trace(of_backbone(conditioning=conditioning))
    assert f"condition(tokens, mask) returned {came}" in str(caught.value)


@pytest.mark.parametrize(
    ("out", "came"),
    [
        (lambda x: x[:, :3], "float32 (2, 3, 16)"),
        (lambda x: x[..., :8], "float32 (2, 6, 8)"),
        (lambda x: x.astype(jnp.bfloat16), "bfloat16 (2, 6, 16)"),
        (lambda x: None, "None"),
    ],
)
def test_what_an_adapter_returns(out, came):
    with pytest.raises(UserError) as caught:
        trace(of_adapter(out=out))
    message = str(caught.value)
    assert message.startswith("adapter 'GivenAdapterConfig' (")
    assert f"__call__(tokens, mask) returned {came}, expected float32 (2, 6, 16)" in message


def test_an_adapter_keeps_the_compute_dtype():
    config = dataclasses.replace(of_adapter(out=lambda x: x.astype(jnp.float32)), compute_dtype="bfloat16")
    with pytest.raises(UserError, match=r"returned float32 \(2, 6, 16\), expected bfloat16 \(2, 6, 16\)"):
        trace(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            of_backbone(built=lambda config: None),
            r"backbone 'Given.*build\(...\) returned None, expected a Back",
        ),
        (
            of_adapter(built=lambda config: len),
            r"adapter 'Given.*build\(...\) returned .*, expected an Adapter",
        ),
    ],
)
def test_what_is_built(config, message):
    with pytest.raises(UserError, match=message):
        trace(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"caption": (2, 5, 16)}, "encode(...) returned float32 (2, 5, 16), expected float32 (2, 6, 16)"),
        ({"caption": (2, 6, 8)}, "encode(...) returned float32 (2, 6, 8), expected float32 (2, 6, 16)"),
        ({"caption": (2, 16)}, "encode(...) returned float32 (2, 16), expected float32 (2, 6, 16)"),
        ({"dtype": jnp.int32}, "encode(...) returned int32 (2, 6, 16), expected float32 (2, 6, 16)"),
        ({"mask": (2, 5)}, "tokenize(...)['mask'] returned bool (2, 5), expected bool (2, 6)"),
    ],
)
def test_what_a_text_encoder_returns(changes, message):
    with pytest.raises(UserError) as caught:
        trace(**changes)
    assert str(caught.value).startswith("text encoder 'hash' (i1-model 0.1.0): ")
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 8, 8, 47), (2, 4, 16, 48), (2, 8, 48)])
def test_latents_of_another_size_than_the_model(shape):
    with pytest.raises(UserError) as caught:
        trace(latents=shape)
    assert f"latents are float32 {shape} and this model takes (2, 8, 8, 48)" in str(caught.value)


def test_a_backbone_of_one_size_says_what_to_do():
    denoiser = init_denoiser(of_backbone(), jax.random.key(0))
    denoiser.set_size(8, 8)
    with pytest.raises(UserError, match=r"cannot take 4x8: .* method set_size\(height, width\)"):
        denoiser.set_size(4, 8)


def test_pictures_are_multiples_of_the_patch_that_a_backbone_states():
    assert of_backbone().size_unit == 4
    assert of_backbone(patch_size=2).size_unit == 8
    assert CONFIG.size_unit == 8
