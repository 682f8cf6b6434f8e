"""Traces networks with every jaxtyping annotation checked; run by `test_annotations.py` in a fresh Python.

The import hook must be installed before the modules that it checks are imported.
"""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import TypeCheckError, install_import_hook

CHECKED = (
    "i1_model.adapters",
    "i1_model.autoencoders",
    "i1_model.backbones",
    "i1_model.denoiser",
    "i1_model.layers",
    "i1_model.ops",
    "i1_model.text_encoders",
)

with install_import_hook(CHECKED, "beartype.beartype"):
    from i1_model.adapters import MLPAdapter, TransformerAdapter
    from i1_model.autoencoders.flux import Flux2Autoencoder, FluxAutoencoder, pack
    from i1_model.autoencoders.patch import PatchAutoencoder
    from i1_model.autoencoders.qwen_image import QwenImageAutoencoder
    from i1_model.backbones import CrossAttention, DualStream, SingleStream
    from i1_model.config import ModelConfig
    from i1_model.denoiser import init_denoiser
    from i1_model.flow import RectifiedFlow
    from i1_model.layers import RMSNorm
    from i1_model.layers.self_attention import merge_heads
    from i1_model.ops.attention import attention
    from i1_model.text_encoders.clip import CLIPEncoder
    from i1_model.text_encoders.fg_clip2 import FGCLIP2Encoder
    from i1_model.text_encoders.hash import HashEncoder
    from i1_model.text_encoders.qwen3 import Qwen3Encoder
    from i1_model.text_encoders.t5 import T5Encoder
    from i1_model.text_encoders.t5gemma import T5GemmaEncoder
    from i1_model.text_encoders.t5gemma2 import T5Gemma2Encoder

SIZE = {"hidden_width": 16, "num_heads": 2, "depth": 5}
OPTIONS = (
    {},
    {"adaln": "time_and_text", "layers": "scan", "remat": "dots", "norm": "layer"},
    {"adaln": "text", "time_embedder": False, "adaln_shift": False, "repeat_text": True, "layers": "loop"},
    {"positions": "sinusoidal_only", "long_skip": False, "sandwich_norm": False, "qk_norm": False},
    {"positions": "rope_only", "image_connector": True, "feed_forward": "gelu", "remat": "full"},
)
HEADS = {"ffn_width": 24, "depth": 2, "num_heads": 4, "vocab_size": 50}
GROUPED = {**HEADS, "width": 16, "num_tokens": 6, "num_kv_heads": 2, "head_dim": 4}
ENCODERS = (
    CLIPEncoder(width=16, num_tokens=6, max_positions=6, start_id=1, end_id=2, pad_id=2, **HEADS),
    FGCLIP2Encoder(width=16, num_tokens=6, max_positions=6, walk="long", **HEADS),
    Qwen3Encoder(**GROUPED),
    T5Encoder(width=16, num_tokens=6, head_dim=4, **HEADS),
    T5GemmaEncoder(**GROUPED),
    T5GemmaEncoder(**GROUPED, padding_queries="attend"),
    T5Gemma2Encoder(**GROUPED, image_end_id=3),
    HashEncoder(num_tokens=6, width=16),
)


def trace_denoiser(backbone, adapter, dtype):
    config = ModelConfig(
        backbone=backbone,
        adapter=adapter,
        text_encoders=(HashEncoder(num_tokens=6, width=16), HashEncoder(num_tokens=3, width=32)),
        autoencoder=PatchAutoencoder(factor=4),
        flow=RectifiedFlow(),
        resolution=32,
        compute_dtype=dtype,
    )

    def run(latents, time, captions, masks, drop):
        denoiser = init_denoiser(config, jax.random.key(0))
        return denoiser(latents, time, captions, masks, drop)

    captions = [jnp.ones((2, 6, 16)), jnp.ones((2, 3, 32))]
    masks = [jnp.ones((2, 6), bool), jnp.ones((2, 3), bool)]
    drop = [jnp.zeros(2, bool)] * 2
    out = jax.eval_shape(run, jnp.ones((2, 8, 8, 48)), jnp.zeros(2), captions, masks, drop)
    assert (out.shape, out.dtype) == ((2, 8, 8, 48), jnp.float32)


def trace_encoder(config):
    encoder = config.build_abstract()
    tokens = {name: jnp.asarray(value) for name, value in encoder.tokenize(["a", "b"]).items()}
    out = jax.eval_shape(encoder.encode, encoder.params, tokens)
    assert (out.shape, out.dtype) == ((2, 6, 16), jnp.float32)


def trace_autoencoder(config):
    autoencoder, side = config.build_abstract(), 4 * config.factor
    images = jax.ShapeDtypeStruct((2, side, 2 * side, 3), jnp.float32)
    latents = jax.eval_shape(autoencoder.encode, autoencoder.params, images, jax.random.key(0))
    assert (latents.shape, latents.dtype) == ((2, 4, 8, config.channels), jnp.float32)
    assert jax.eval_shape(autoencoder.decode, autoencoder.params, latents) == images


def must_fail(function, *arguments):
    try:
        function(*arguments)
    except TypeCheckError:
        return
    raise SystemExit(f"{function} took arguments that its annotations forbid: nothing is checked")


for family, (index, options) in itertools.product(
    (CrossAttention, DualStream, SingleStream), enumerate(OPTIONS)
):
    adapter = MLPAdapter() if index % 2 else TransformerAdapter(num_heads=2)
    trace_denoiser(family(**SIZE, **options), adapter, "bfloat16" if index % 2 else "float32")
trace_denoiser(DualStream(**SIZE, separate_norms=True), MLPAdapter(), "float32")
for encoder in ENCODERS:
    trace_encoder(encoder)
for autoencoder in (
    PatchAutoencoder(factor=2),
    FluxAutoencoder(),
    Flux2Autoencoder(tile=3, tile_overlap=1),
    QwenImageAutoencoder(slicing=True),
):
    trace_autoencoder(autoencoder)

q = jnp.ones((2, 3, 2, 4))
must_fail(pack, jnp.ones((2, 4, 4)))
must_fail(PatchAutoencoder(factor=2).build().encode, {}, jnp.ones((2, 4, 4, 1)))
must_fail(RMSNorm(4), jnp.ones((2, 4), jnp.int32))
must_fail(merge_heads, jnp.ones((2, 3, 4)))
must_fail(attention, q, q, q, jnp.ones((2, 3)))
must_fail(attention, q, jnp.ones((1, 3, 2, 4)), q)
