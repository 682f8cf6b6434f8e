"""Damaged files of models, adapters and recipes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_hooks import from_dict, to_dict
from i1_hooks.files import read_json
from i1_model.adapters import TransformerAdapter
from i1_model.arrays.archive import Archive
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.npz import npz_arrays
from i1_model.arrays.safetensors import find_safetensors, safetensors_arrays
from i1_model.arrays.safetensors_writer import split_shards, write_safetensors
from i1_model.arrays.torch_writer import write_torch
from i1_model.arrays.torch_zip import read_torch_zip
from i1_model.arrays.trees import flatten
from i1_model.autoencoders.flux import Flux2Autoencoder, Flux2KL
from i1_model.autoencoders.kl import KLSizes
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream
from i1_model.checkpoints.folder import load_model, save_model
from i1_model.checkpoints.names import from_released, to_released
from i1_model.checkpoints.stored import open_stored
from i1_model.config import ModelConfig
from i1_model.conversion.convert import convert
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.lora.factors import Factors
from i1_model.lora.files import PEFT_CONFIG, read_lora, write_lora
from i1_model.lora.folder import load_adapter, save_adapter
from i1_model.lora.formats import FORMATS as LORA_FORMATS
from i1_model.lora.formats import encode
from i1_model.lora.layers import find_layers
from i1_model.text_encoders.hash import HashEncoder
from i1_train.config import TrainConfig
from i1_train.recipes.scenes import scenes_tiny
from mutations import Format, fuzz

CONFIG = ModelConfig(
    backbone=DualStream(hidden_width=8, num_heads=2, depth=3, patch_size=2),
    adapter=TransformerAdapter(num_blocks=1, num_heads=2),
    text_encoders=(HashEncoder(num_tokens=4, width=16),),
    autoencoder=PatchAutoencoder(factor=2),
    flow=RectifiedFlow(),
    resolution=8,
)
VAE = KLSizes(block_out_channels=(4, 4), layers_per_block=1, latent_channels=2, norm_num_groups=2)


def random_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "a/kernel": rng.normal(size=(3, 5)).astype(np.float32),
        "a/bias": np.asfortranarray(rng.normal(size=(4, 2)).astype(np.float16)),
        "b/scale": rng.normal(size=6).astype(jnp.bfloat16),
        "number": np.float64(3),
        "empty": np.zeros((0, 3), np.float32),
    }


def read_all(arrays: Mapping[str, object]) -> None:
    for array in arrays.values():
        np.asarray(array)


def make_npz(folder: Path, save: Callable = np.savez) -> None:
    save(folder / "a.npz", **{f"params_ema/{name}": array for name, array in random_arrays().items()})


def read_npz(folder: Path) -> None:
    with Archive(folder / "a.npz") as archive:
        read_all(npz_arrays(archive, ""))


def make_pt(folder: Path) -> None:
    state = {name: LazyArray.of(array) for name, array in random_arrays().items()}
    with (folder / "a.pt").open("wb") as file:
        write_torch(file, {"config": {"depth": 3, "name": "x"}}, state, "model")


def read_pt(folder: Path) -> None:
    with Archive(folder / "a.pt") as archive:
        saved = read_torch_zip(archive)
        if isinstance(saved, dict) and isinstance(saved.get("model"), dict):
            read_all({name: value for name, value in saved["model"].items() if isinstance(value, LazyArray)})


def make_safetensors(folder: Path) -> None:
    arrays = {name: LazyArray.of(np.asarray(array)) for name, array in random_arrays().items()}
    with (folder / "a.safetensors").open("wb") as file:
        write_safetensors(file, arrays, {"format": "pt", "note": "a"})


def make_shards(folder: Path) -> None:
    arrays = {name: LazyArray.of(np.asarray(array)) for name, array in random_arrays().items()}
    files, index = split_shards("a", arrays, shard_bytes=40)
    assert index is not None
    (folder / "a.safetensors.index.json").write_text(index)
    for name, shard in files.items():
        with (folder / name).open("wb") as file:
            write_safetensors(file, shard, {})


def read_safetensors(folder: Path) -> None:
    read_all(safetensors_arrays(find_safetensors(folder, "a")))


def make_model(folder: Path) -> None:
    _, shapes = jax.eval_shape(lambda: nnx.split(init_denoiser(CONFIG, jax.random.key(0))))
    rng = np.random.default_rng(0)
    arrays = {n: rng.normal(size=a.shape).astype(np.float32) for n, a in to_released(shapes).items()}
    metadata = {"step": 3, "recipe": "tiny", "sampling": {"shift": 0.5}}
    save_model(folder, CONFIG, from_released(CONFIG, arrays), metadata=metadata)


def make_converted(folder: Path, name: str, form: str) -> None:
    source = folder.parent / "source"
    make_model(source)
    convert(source, folder / name, form)  # pyright: ignore[reportArgumentType]


def read_stored(folder: Path, name: str) -> None:
    with open_stored(folder / name) as stored:
        stored.load()


def an_adapter() -> dict[str, Factors]:
    rng = np.random.default_rng(0)
    return {
        layer.torch_name: Factors(
            rng.normal(size=(layer.in_width, 2)).astype(np.float32),
            rng.normal(size=(2, layer.out_width)).astype(jnp.bfloat16),
            3.0,
        )
        for layer in find_layers(CONFIG)[:3]
    }


def make_lora(folder: Path) -> None:
    for name in LORA_FORMATS:
        write_lora(folder / f"{name}.safetensors", an_adapter(), name)
    peft = folder / "peft"
    peft.mkdir()
    arrays, _ = encode(an_adapter(), "diffusers")
    with (peft / "adapter_model.safetensors").open("wb") as file:
        write_safetensors(file, {key: LazyArray.of(array) for key, array in arrays.items()}, {})
    settings = {"r": 2, "lora_alpha": 4, "alpha_pattern": {"mid_block.*": 3, "x": 0.5}, "use_rslora": False}
    (peft / PEFT_CONFIG).write_text(json.dumps(settings))


def read_loras(folder: Path) -> None:
    modules = [layer.torch_name for layer in find_layers(CONFIG)]
    error = None
    for path in (*(folder / f"{name}.safetensors" for name in LORA_FORMATS), folder / "peft"):
        try:
            adapter = read_lora(path, modules).adapter
            assert all(np.isfinite(factors.alpha) and factors.rank for factors in adapter.values())
        except ValueError as caught:  # read the others too, then report it
            error = caught
    if error is not None:
        raise error


def make_adapter_folder(folder: Path) -> None:
    save_adapter(folder, CONFIG, an_adapter(), base="scenes", metadata={"step": 1})


def make_vae(folder: Path) -> None:
    shapes = flatten(nnx.split(nnx.eval_shape(lambda: Flux2KL(VAE, 1e-4)))[1])
    axes, rng = {2: (1, 0), 4: (3, 2, 0, 1)}, np.random.default_rng(0)
    arrays = {
        name.replace("/", "."): LazyArray.of(
            rng.uniform(0.1, 1, [leaf.shape[i] for i in axes.get(len(leaf.shape), (0,))]).astype(np.float32)
        )
        for name, leaf in shapes.items()
    }
    with (folder / "diffusion_pytorch_model.safetensors").open("wb") as file:
        write_safetensors(file, arrays, {})
    (folder / "config.json").write_text(
        json.dumps({**to_dict(VAE), "batch_norm_eps": 1e-4, "act_fn": "silu"})
    )


def read_vae(folder: Path) -> None:
    Flux2Autoencoder(path=str(folder), channels=2, factor=2).build()


def make_recipe(folder: Path) -> None:
    (folder / "recipe.json").write_text(json.dumps(to_dict(scenes_tiny())))


def read_recipe(folder: Path) -> None:
    from_dict(TrainConfig, read_json(folder / "recipe.json"))


FORMATS = {
    "npz": Format(make_npz, read_npz),
    "npz_compressed": Format(partial(make_npz, save=np.savez_compressed), read_npz),
    "pt": Format(make_pt, read_pt),
    "safetensors": Format(make_safetensors, read_safetensors),
    "shards": Format(make_shards, read_safetensors),
    "lora": Format(make_lora, read_loras, ("*.safetensors", "peft/*")),
    "recipe": Format(make_recipe, read_recipe),
    "model": Format(make_model, load_model, megabytes=2048),
    "released": Format(
        partial(make_converted, name="a.pt", form="torch"),
        partial(read_stored, name="a.pt"),
        megabytes=2048,
    ),
    "diffusers": Format(
        partial(make_converted, name="hub", form="diffusers"),
        partial(read_stored, name="hub"),
        ("hub/*.json", "hub/transformer/*"),
        megabytes=2048,
    ),
    "adapter": Format(make_adapter_folder, load_adapter, megabytes=2048),
    "autoencoder": Format(make_vae, read_vae, megabytes=2048),
}
LIGHT = ("npz", "npz_compressed", "pt", "safetensors", "shards", "lora", "recipe")
"""Formats of which an input takes a few milliseconds; the others describe networks that are built."""
HEAVY = tuple(name for name in FORMATS if name not in LIGHT)


@pytest.mark.parametrize(("names", "inputs"), [(LIGHT, 200), (HEAVY, 12)], ids=["arrays", "networks"])
def test_damaged_files(names: tuple[str, ...], inputs: int):
    fuzz(__file__, ",".join(names), inputs=inputs, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", FORMATS)
def test_many_damaged_files(name: str):
    fuzz(__file__, name, inputs=6000 if name in LIGHT else 1600, seed=2)
