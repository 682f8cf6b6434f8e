import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_hooks import UserError
from i1_model.adapters import MLPAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream
from i1_model.checkpoints.folder import load_model, read_config, save_model
from i1_model.checkpoints.names import from_released, to_released
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders.hash import HashEncoder
from safetensors.numpy import load_file

CONFIG = ModelConfig(
    backbone=DualStream(hidden_width=24, num_heads=2, depth=3),
    adapter=MLPAdapter(),
    text_encoders=(HashEncoder(num_tokens=4, width=16),),
    autoencoder=PatchAutoencoder(factor=2),
    flow=RectifiedFlow(shift=0.5),
    resolution=8,
)


@pytest.fixture(scope="module")
def params():
    _, shapes = jax.eval_shape(lambda: nnx.split(init_denoiser(CONFIG, jax.random.key(0))))
    random = np.random.default_rng(0)
    released = to_released(shapes)
    return from_released(
        CONFIG, {n: random.normal(size=a.shape).astype(np.float32) for n, a in released.items()}
    )


@pytest.fixture
def folder(params, tmp_path: Path) -> Path:
    return save_model(tmp_path / "model", CONFIG, params, metadata={"step": 3, "recipe": "none"})


def test_round_trip_is_bit_exact(folder: Path, params) -> None:
    loaded = load_model(folder)
    assert loaded.config == CONFIG
    assert (loaded.metadata["step"], loaded.metadata["recipe"]) == (3, "none")
    assert "i1-model" in loaded.metadata["plugins"]
    jax.tree.map(np.testing.assert_array_equal, loaded.params, params)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_names_are_the_released_ones_with_dots(folder: Path) -> None:
    names = load_file(folder / "model.safetensors")
    assert "blocks_2.attn.qkv_image.kernel" in names
    assert "text_encoder_adapter.learnable_null_caption" in names


def test_bfloat16_is_stored_as_such_and_read_as_float32(params, tmp_path: Path) -> None:
    save_model(tmp_path, CONFIG, params, dtype="bfloat16", metadata={})
    assert {a.dtype for a in load_file(tmp_path / "model.safetensors").values()} == {np.dtype(jnp.bfloat16)}
    original, loaded = to_released(params), to_released(load_model(tmp_path).params)
    for name, array in loaded.items():
        assert array.dtype == np.float32
        if name != "pos_embed":
            np.testing.assert_array_equal(array, original[name].astype(jnp.bfloat16).astype(np.float32))
    assert to_released(load_model(tmp_path, "bfloat16").params)["x_embedder/proj/kernel"].dtype == "bfloat16"


def test_saving_again_replaces_the_weights_and_keeps_other_files(folder: Path, params) -> None:
    (folder / "README.md").write_text("card")
    save_model(folder, CONFIG, jax.tree.map(lambda a: a + 1, params), metadata={"step": 4})
    assert load_model(folder).metadata["step"] == 4
    assert (folder / "README.md").read_text() == "card"


def edit(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def without_plugin(folder: Path) -> None:
    data = json.loads((folder / "config.json").read_text())
    data["model"]["adapter"]["component"] = "theirs"
    edit(folder, model=data["model"], plugins={**data["plugins"], "their-plugin": "1.2"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: truncate(folder / "model.safetensors"), "is truncated or corrupted at"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b""),
            "truncated or not a safetensors file",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (lambda folder: truncate(folder / "config.json"), "config.json is not JSON"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json: it is not a model folder"),
        (lambda folder: edit(folder, format="other"), "is not the configuration of a model"),
        (lambda folder: edit(folder, format_version=2), "has format_version 2, this i1 reads 1"),
        (without_plugin, r"unknown adapter 'theirs'.*not installed here: their-plugin 1\.2"),
    ],
)
def test_damage_is_a_user_error(folder: Path, damage, message: str) -> None:
    damage(folder)
    with pytest.raises(UserError, match=message):
        load_model(folder)


def test_weights_of_another_configuration_are_refused(folder: Path, params, tmp_path: Path) -> None:
    other = dataclasses.replace(CONFIG, backbone=dataclasses.replace(CONFIG.backbone, depth=5))
    wrong = save_model(tmp_path / "other", other, params, metadata={})
    with pytest.raises(UserError, match=r"does not fit config\.json beside it.*blocks_3"):
        load_model(wrong)


def test_parameters_go_to_their_places_one_after_the_other(folder: Path, params) -> None:
    mesh = jax.sharding.Mesh(np.array(jax.devices()), "data")
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    calls, told = [], []

    def sharding(path: str, shape: tuple[int, ...]):
        calls.append((path, shape))
        return place

    loaded = load_model(
        folder, "bfloat16", sharding=sharding, progress=lambda done, total: told.append((done, total))
    )
    assert ("backbone/blocks/middle/norm1/scale", (24,)) in calls
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    kernel = loaded.params["backbone"]["x_embedder"]["proj"]["kernel"][...]
    assert (kernel.sharding, kernel.dtype) == (place, "bfloat16")


def test_the_configuration_is_read_without_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    config, metadata = read_config(folder)
    assert (config, metadata["step"]) == (CONFIG, 3)


def test_bad_arguments(params, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'model' is reserved"):
        save_model(tmp_path, CONFIG, params, metadata={"model": 1})
    with pytest.raises(UserError, match="dtype 'int8'"):
        save_model(tmp_path, CONFIG, params, dtype="int8", metadata={})  # pyright: ignore[reportArgumentType]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the model folder"):
        save_model(tmp_path / "file" / "model", CONFIG, params, metadata={})
