"""Tiny random weights in the forms that the real ones are published in, laid out as the Hub's cache."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from i1_model.adapters import TransformerAdapter
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.safetensors_writer import SHARD_BYTES, split_shards, write_safetensors
from i1_model.arrays.torch_writer import write_torch
from i1_model.arrays.trees import flatten
from i1_model.autoencoders.flux import Flux2Autoencoder, Flux2KL
from i1_model.autoencoders.kl import KLSizes
from i1_model.backbones import DualStream
from i1_model.checkpoints.diffusers_folder import released_config
from i1_model.checkpoints.names import to_released
from i1_model.checkpoints.torch_names import rope_tables, to_torch_names
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders.t5gemma import T5GemmaEncoder
from i1_sample import loading
from i1_sample.keywords import load_options
from i1_sample.loading import Parts

MODEL, ENCODER, VAE = "zlab-princeton/i1-3B", "google/t5gemma-2b-2b-ul2-it", "black-forest-labs/FLUX.2-dev"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "circle", "two", "stars", "blue"]
TEXT = T5GemmaEncoder(
    num_tokens=7,
    width=16,
    ffn_width=24,
    depth=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    query_scalar=8,
    vocab_size=len(WORDS),
)
CONFIG = ModelConfig(
    backbone=DualStream(hidden_width=24, num_heads=2, depth=3),
    adapter=TransformerAdapter(num_blocks=2, num_heads=2),
    text_encoders=(TEXT,),
    autoencoder=Flux2Autoencoder(channels=4, factor=2),
    flow=RectifiedFlow(),
    resolution=16,
)
SIZES = KLSizes(block_out_channels=(4, 4), layers_per_block=1, latent_channels=4, norm_num_groups=2)


def random_array(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> LazyArray:
    centre = np.float32(name.endswith(("scale", "running_var")))
    return LazyArray.of(centre + random.normal(0, 0.2, shape).astype(np.float32) ** (2 if centre else 1))


def model_arrays(config: ModelConfig = CONFIG) -> dict[str, LazyArray]:
    """Random arrays under released JAX names."""
    _, shapes = jax.eval_shape(lambda: nnx.split(init_denoiser(config, jax.random.key(0))))
    random = np.random.default_rng(0)
    return {name: random_array(random, name, like.shape) for name, like in to_released(shapes).items()}


def write_published(path: Path, config: ModelConfig = CONFIG) -> None:
    """Writes a `.pt` as it is released: the sizes and the state, nothing of ours."""
    state = {**to_torch_names(model_arrays(config)), **rope_tables(config)}
    with path.open("wb") as file:
        write_torch(file, {"config": released_config(config)}, state, "model")


def write_sharded(
    folder: Path, stem: str, arrays: dict[str, LazyArray], shard_bytes: int = SHARD_BYTES
) -> None:
    """Writes arrays as safetensors files with an index."""
    files, index = split_shards(stem, arrays, shard_bytes=shard_bytes)
    for name, shard in files.items():
        with (folder / name).open("wb") as file:
            write_safetensors(file, shard, {})
    if index is not None:
        (folder / f"{stem}.safetensors.index.json").write_text(index)


def write_encoder(folder: Path, config: T5GemmaEncoder = TEXT, shard_bytes: int = 4000) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    leaves = jax.tree.leaves(config.layout())
    names = {f"model.encoder.{name}": leaf.shape for leaf in leaves for name in leaf.names()}
    arrays = {name: random_array(random, name, shape) for name, shape in names.items()}
    arrays["lm_head.weight"] = LazyArray.of(np.zeros((2, 2), np.float32))
    write_sharded(folder, "model", arrays, shard_bytes)
    encoder = {
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": config.width,
        "intermediate_size": config.ffn_width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "query_pre_attn_scalar": config.query_scalar,
        "attn_logit_softcapping": config.softcap,
        "sliding_window": config.sliding_window,
        "rope_theta": config.theta,
        "rms_norm_eps": config.eps,
        "vocab_size": config.vocab_size,
    }
    (folder / "config.json").write_text(json.dumps({"model_type": "t5gemma", "encoder": encoder}))
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(WORDS)}, "unk_token": "<unk>"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def write_vae(folder: Path, sizes: KLSizes = SIZES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    params = nnx.split(nnx.eval_shape(lambda: Flux2KL(sizes, 1e-4)))[1]
    axes, random = {2: (1, 0), 4: (3, 2, 0, 1)}, np.random.default_rng(2)
    arrays = {}
    for path, leaf in flatten(params).items():
        name = path.replace("/", ".")
        shape = tuple(leaf.shape[axis] for axis in axes.get(len(leaf.shape), (0,)))
        arrays[name] = random_array(random, name, shape)
    write_sharded(folder, "diffusion_pytorch_model", arrays)
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(sizes)))
    return folder


def find_parts(model, **keywords) -> Parts:
    """Finds a model's parts as `Pipeline.from_pretrained` does."""
    return loading.find_parts(load_options(model, keywords))


def snapshot(cache: Path, repository: str) -> Path:
    """Returns the folder where the Hub's cache keeps the files of a repository's `main`."""
    root = cache / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(COMMIT)
    folder = root / "snapshots" / COMMIT
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_cache(cache: Path) -> Path:
    """Writes the three repositories of i1-3B."""
    write_published(snapshot(cache, MODEL) / "1024_resolution_checkpoint_torch.pt")
    write_encoder(snapshot(cache, ENCODER))
    write_vae(snapshot(cache, VAE) / "vae")
    return cache


def use_cache(patch: pytest.MonkeyPatch, cache: Path) -> Path:
    """Makes huggingface_hub look into a cache alone."""
    from huggingface_hub import constants

    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache
