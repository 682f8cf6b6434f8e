"""The Qwen-Image autoencoder: what is read of a folder, recorded scaling, tiles."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from i1_hooks import UserError, from_dict, to_dict
from i1_model.arrays.trees import flatten
from i1_model.autoencoders import Autoencoder, AutoencoderConfig
from i1_model.autoencoders.qwen_image import QwenImageAutoencoder, QwenImageNetwork, QwenImageSizes
from model_goldens import FOLDER, QUICK

SIZES = QwenImageSizes(
    base_dim=4, z_dim=2, dim_mult=(1, 2), num_res_blocks=1, latents_mean=(0.5, -1.0), latents_std=(2.0, 0.5)
)
CONFIG = {**{name: getattr(SIZES, name) for name in SIZES.__dataclass_fields__}, "attn_scales": []}
PER_PICTURE = (".resample.", ".to_qkv.", ".proj.")


def as_stored(values):
    """Parameters as the published class saves them, with noise where a single frame does not look."""
    rng = np.random.default_rng(1)
    stored = {}
    for name, value in values.items():
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
            if not any(part in name for part in PER_PICTURE):
                earlier = rng.normal(size=(*value.shape[:2], 2 * (value.shape[2] == 3), *value.shape[2:]))
                value = np.concatenate([earlier, value[:, :, None]], axis=2)
        if name.endswith(".gamma"):
            value = value.reshape(-1, *[1] * (2 if "attentions" in name else 3))
        stored[name.replace(".resample.", ".resample.1.")] = np.ascontiguousarray(value, np.float32)
    stored["decoder.up_blocks.0.upsamplers.0.time_conv.weight"] = np.ones((2, 2, 3, 1, 1), np.float32)
    return stored


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    shapes = flatten(nnx.split(nnx.eval_shape(lambda: QwenImageNetwork(SIZES)))[1])
    return {
        name.replace("/", "."): rng.normal(size=leaf.shape, scale=0.3).astype(np.float32)
        for name, leaf in shapes.items()
    }


@pytest.fixture
def folder(tmp_path, values):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    safetensors.numpy.save_file(as_stored(values), tmp_path / "diffusion_pytorch_model.safetensors")
    return tmp_path


def test_only_the_last_slices_in_time_are_read(folder, values):
    autoencoder = QwenImageAutoencoder(path=str(folder), channels=2, factor=2).build()
    assert isinstance(autoencoder, Autoencoder)
    read = {name.replace("/", "."): leaf for name, leaf in flatten(autoencoder.params).items()}
    assert read.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(read[name], value, err_msg=name)


def test_tiles_agree_with_the_whole_where_nothing_reaches_beyond_them(folder):
    whole = QwenImageAutoencoder(path=str(folder), channels=2, factor=2)
    tiled = replace(whole, tile=8, tile_overlap=4).build()
    whole = whole.build()
    latents = jax.random.normal(jax.random.key(0), (1, 4, 12, 2))

    def both(params):
        images = whole.decode(params, latents[:, :, :8])
        return images, tiled.decode(params, latents), tiled.encode(params, jnp.zeros((1, 8, 24, 3)))

    first, images, encoded = jax.jit(both, compiler_options=QUICK)(whole.params)
    assert images.shape == (1, 8, 24, 3)
    assert encoded.shape == latents.shape
    np.testing.assert_allclose(images[:, :, :8], first[:, :, :8], rtol=0, atol=1e-5)


@pytest.mark.golden
@pytest.mark.parametrize("path", sorted(FOLDER.rglob("latent_scaling*.npz")), ids=lambda path: path.stem)
def test_recorded_latent_scaling(path):
    record = np.load(path)
    mean, std = (tuple(record[f"qwenimage/{name}"].tolist()) for name in ("mean", "std"))
    sizes = replace(SIZES, z_dim=len(mean), latents_mean=mean, latents_std=std)
    network = nnx.eval_shape(lambda: QwenImageNetwork(sizes))
    latents = record["qwenimage/latents"].transpose(0, 2, 3, 1)
    for name, function in (("scaled", network.normalise), ("unscaled", network.denormalise)):
        found = np.asarray(function(latents)).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(found, record[f"qwenimage/{name}"], rtol=0, atol=2e-6)


def test_config_survives_json():
    made = QwenImageAutoencoder(path="vae", tile=64)
    assert from_dict(AutoencoderConfig, to_dict(made)) == made


def test_absent_weights_name_the_repository():
    with pytest.raises(UserError, match=r"subfolder vae of Qwen/Qwen-Image \(download it from https://"):
        QwenImageAutoencoder().build()


def test_folders_of_another_autoencoder(folder):
    def refused(text, **config):
        (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
        with pytest.raises(UserError, match=text) as error:
            QwenImageAutoencoder(path=str(folder), channels=2, factor=2).build()
        assert "\n" not in str(error.value)

    refused(r"attn_scales is \[1\.0\], this autoencoder is implemented for \[\] only", attn_scales=[1.0])
    refused("latents_std has 1 values for z_dim 2", latents_std=[1.0])
    refused("has 2 channels and factor 4, the configuration says", dim_mult=[1, 2, 2])
    refused("parameters do not fit the model.*of another shape", base_dim=6)
    refused("num_res_blocks must be from 1 to 100, got 1000000", num_res_blocks=10**6)
    refused("number of dim_mult must be from 1 to 10, got 0", dim_mult=[])
    refused("dim_mult must be from 1 to 16384, got 0", dim_mult=[1, 0])
    refused("latents_std above 0", latents_std=[1.0, 0.0])
    refused("latents_mean.0: expected float, got null", latents_mean=[None, 0.0])
    (folder / "config.json").write_text(json.dumps({"latent_channels": 2}))
    with pytest.raises(UserError, match=r"config\.json: lacks base_dim, z_dim, .* AutoencoderKLQwenImage"):
        QwenImageAutoencoder(path=str(folder)).build()
