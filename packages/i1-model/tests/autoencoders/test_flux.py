"""The FLUX autoencoders against recordings and the released shapes."""

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from i1_hooks import UserError, from_dict, to_dict
from i1_model.arrays.trees import flatten
from i1_model.autoencoders import Autoencoder, AutoencoderConfig
from i1_model.autoencoders.flux import Flux2Autoencoder, Flux2KL, FluxAutoencoder, FluxKL, pack, unpack
from i1_model.autoencoders.kl import KLSizes
from model_goldens import FOLDER, PACKAGED, QUICK

FOLDERS = sorted(path.parent for path in FOLDER.rglob("vae_*/io.npz"))
TINY_FOLDERS = sorted(path.parent for path in PACKAGED.glob("vae_*/io.npz"))
ATOL, DECODED_ATOL = 5e-6, 5e-5
TINY = KLSizes(block_out_channels=(4, 4), layers_per_block=1, latent_channels=2, norm_num_groups=2)


def nchw(array):
    return np.asarray(array).transpose(0, 3, 1, 2)


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


@cache
def config(folder: Path) -> Flux2Autoencoder:
    sizes = json.loads((folder / "config.json").read_text())
    factor = 2 ** (len(sizes["block_out_channels"]) - 1)
    return Flux2Autoencoder(path=str(folder), channels=sizes["latent_channels"], factor=factor)


def test_recordings_are_found():
    assert TINY_FOLDERS


@pytest.mark.golden
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_recorded_posterior_and_images(folder: Path):
    autoencoder, record = config(folder).build(), np.load(folder / "io.npz")
    assert isinstance(autoencoder, Autoencoder)
    network = autoencoder.network(autoencoder.params)
    image, key = nhwc(record["image"]), jax.random.wrap_key_data(jnp.asarray(record["sample_key"]))

    def encode(params, image):
        modes = autoencoder.posterior(params, image)
        return *modes, autoencoder.encode(params, image), autoencoder.encode(params, image, key)

    mean, logvar, mode, sample = jax.jit(encode, compiler_options=QUICK)(autoencoder.params, image)
    np.testing.assert_allclose(nchw(mean), record["mean"], rtol=0, atol=ATOL)
    np.testing.assert_allclose(nchw(logvar), record["logvar"], rtol=0, atol=ATOL)
    np.testing.assert_allclose(nchw(network.denormalise(mode)), record["mean"], rtol=0, atol=ATOL)
    sampled = nchw(network.denormalise(sample))
    np.testing.assert_allclose(sampled, record["sample_nchw"], rtol=0, atol=ATOL)

    decode = jax.jit(autoencoder.decode, compiler_options=QUICK)
    for latents, decoded in (("mean", "decoded_from_mean"), ("latent2", "decoded_from_latent2")):
        images = decode(autoencoder.params, network.normalise(nhwc(record[latents])))
        np.testing.assert_allclose(nchw(images), record[decoded], rtol=0, atol=DECODED_ATOL)


def test_pictures_larger_than_a_tile_are_joined_from_tiles():
    folder = TINY_FOLDERS[-1]
    whole, tiled = config(folder).build(), replace(config(folder), tile=6, tile_overlap=3).build()
    record = np.load(folder / "io.npz")
    image, latents = nhwc(record["image"]), nhwc(record["latent2"])

    def compare(params):
        network, scaled = whole.network(params), whole.network(params).normalise(latents)
        first = network.posterior(image[:, :, :12])[0], network.decode(latents[:, :, :6])
        return tiled.posterior(params, image)[0], tiled.decode(params, scaled), *first

    mean, images, first_mean, first_image = jax.jit(compare, compiler_options=QUICK)(whole.params)
    assert nchw(mean).shape == record["mean"].shape
    assert nchw(images).shape == record["image"].shape
    np.testing.assert_allclose(mean[:, :, :2], first_mean[:, :, :2], rtol=0, atol=ATOL)
    np.testing.assert_allclose(images[:, :, :4], first_image[:, :, :4], rtol=0, atol=DECODED_ATOL)
    assert np.abs(images[:, :, 4:12] - first_image[:, :, 4:]).max() > DECODED_ATOL


def test_pictures_of_a_batch_one_after_another_take_less_memory():
    folder = TINY_FOLDERS[-1]
    whole, sliced = config(folder).build(), replace(config(folder), slicing=True).build()
    record, batch = np.load(folder / "io.npz"), 8
    images = (
        jnp.concatenate([nhwc(record["image"])] * batch)[:batch]
        * jnp.linspace(0.2, 1, batch)[:, None, None, None]
    )

    def there_and_back(autoencoder):
        def function(params, images):
            latents = autoencoder.encode(params, images, jax.random.key(0))
            return latents, autoencoder.decode(params, latents)

        return jax.jit(function).lower(whole.params, images).compile()

    programs = [there_and_back(autoencoder) for autoencoder in (whole, sliced)]
    for a, b in zip(*(program(whole.params, images) for program in programs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=DECODED_ATOL)
    memory = [program.memory_analysis().temp_size_in_bytes for program in programs]
    assert memory[1] < memory[0] / 2


@pytest.mark.golden
@pytest.mark.parametrize("path", sorted(FOLDER.rglob("latent_scaling*.npz")), ids=lambda path: path.stem)
def test_recorded_latent_scaling(path: Path):
    record = np.load(path)
    channels = record["flux2/latents"].shape[1]
    flux2 = Flux2KL(replace(TINY, latent_channels=channels, block_out_channels=(2, 2)), 1e-4)
    flux2.bn.running_mean[...] = jnp.asarray(record["flux2/mean"])
    flux2.bn.running_var[...] = jnp.asarray(record["flux2/var"])
    for name, network in (("flux2", flux2), ("flux", FluxKL(TINY, 0.1159, 0.3611))):
        scaled = network.normalise(nhwc(record[f"{name}/latents"]))
        np.testing.assert_allclose(nchw(scaled), record[f"{name}/scaled"], rtol=0, atol=2e-6)
        unscaled = network.denormalise(nhwc(record[f"{name}/latents"]))
        np.testing.assert_allclose(nchw(unscaled), record[f"{name}/unscaled"], rtol=0, atol=2e-6)


def test_packing_order():
    latents = jnp.arange(2 * 2 * 3, dtype=jnp.float32).reshape(1, 2, 2, 3)
    assert pack(latents)[0, 0, 0].tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]
    np.testing.assert_array_equal(unpack(pack(latents)), latents)


def test_full_size_names_and_shapes():
    released = json.loads((PACKAGED / "real_external_shapes.json").read_text())["flux2_vae"]["names"]
    params = nnx.split(nnx.eval_shape(lambda: Flux2KL(KLSizes(), 1e-4)))[1]
    axes = {2: (1, 0), 4: (3, 2, 0, 1)}
    shapes = {
        name.replace("/", "."): [leaf.shape[axis] for axis in axes.get(len(leaf.shape), (0,))]
        for name, leaf in flatten(params).items()
    }
    assert shapes == {name: shape for name, shape in released.items() if name != "bn.num_batches_tracked"}


def test_latents_can_be_traced_without_weights():
    autoencoder = Flux2Autoencoder().build_abstract()
    images = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
    assert jax.eval_shape(autoencoder.encode, autoencoder.params, images).shape == (2, 8, 8, 32)
    with pytest.raises(UserError, match="factor 8, the configuration says channels 32 and factor 16"):
        Flux2Autoencoder(factor=16).build_abstract()


def test_config_survives_json():
    for made in (FluxAutoencoder(), Flux2Autoencoder(path="vae", tile=64)):
        assert from_dict(AutoencoderConfig, to_dict(made)) == made
    assert (FluxAutoencoder().channels, Flux2Autoencoder().channels) == (16, 32)


def test_absent_weights_name_repository_and_licence(tmp_path: Path):
    licence = r"vae of black-forest-labs/FLUX\.2-dev \(accept its licence at https://"
    with pytest.raises(UserError, match=rf"set its field path to the subfolder {licence}"):
        Flux2Autoencoder().build()
    with pytest.raises(UserError, match=rf"{tmp_path} has no config\.json: .*{licence}"):
        Flux2Autoencoder(path=str(tmp_path)).build()
    with pytest.raises(UserError, match=r"vae of black-forest-labs/FLUX\.1-dev"):
        FluxAutoencoder().build()


def test_folders_that_do_not_fit(tmp_path: Path):
    source, folder = TINY_FOLDERS[0], tmp_path / "vae"
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    given = replace(config(source), path=str(folder))
    with pytest.raises(UserError, match=r"has 4 channels and factor 8, the configuration says channels 32"):
        replace(given, channels=32).build()
    weights = folder / "diffusion_pytorch_model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-100])
    with pytest.raises(UserError, match=r"safetensors is truncated or corrupted at "):
        given.build()
    weights.write_bytes(b"not safetensors at all")
    with pytest.raises(UserError, match="truncated or not a safetensors file"):
        given.build()
    weights.unlink()
    with pytest.raises(UserError, match=r"has no diffusion_pytorch_model\.safetensors"):
        given.build()
    arrays = safetensors.numpy.load(data)
    arrays["extra"] = arrays.pop("bn.running_mean")
    safetensors.numpy.save_file(arrays, weights)
    with pytest.raises(UserError, match=r"1 missing: bn\.running_mean; 1 unknown: extra"):
        given.build()


BAD_SIZES = {
    "act_fn is 'relu', this autoencoder is implemented for 'silu' only": {"act_fn": "relu"},
    r"down_block_types is \['x'\], this": {"down_block_types": ["x"]},
    "block_out_channels: expected a list, got 5": {"block_out_channels": 5},
    "block_out_channels must be from 1 to 65536, got -4": {"block_out_channels": [4, -4]},
    "number of block_out_channels must be from 1 to 10, got 0": {"block_out_channels": []},
    "number of block_out_channels must be from 1 to 10, got 40": {"block_out_channels": [4] * 40},
    "layers_per_block must be from 1 to 100, got 1048576": {"layers_per_block": 2**20},
    "layers_per_block: expected int, got null": {"layers_per_block": None},
    "latent_channels: expected int, got true": {"latent_channels": True},
    "norm_num_groups must be from 1 to 65536, got 0": {"norm_num_groups": 0},
    "norm_num_groups 3 does not divide all of": {"norm_num_groups": 3},
    "different lengths": {"decoder_block_out_channels": [4]},
    "batch_norm_eps is 'x', expected a finite number": {"batch_norm_eps": "x"},
    "batch_norm_eps is inf, expected a finite number": {"batch_norm_eps": float("inf")},
}


@pytest.mark.parametrize("message", BAD_SIZES)
def test_sizes_that_no_network_has(message: str, tmp_path: Path):
    sizes = json.loads((TINY_FOLDERS[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**sizes, **BAD_SIZES[message]}))
    with pytest.raises(UserError, match=rf"config\.json: .*{message}"):
        replace(config(TINY_FOLDERS[0]), path=str(tmp_path)).build()


def test_fields_out_of_range():
    for field in ("channels", "factor", "tile", "tile_overlap"):
        with pytest.raises(UserError, match=f"Flux2Autoencoder: {field} must be 1 or more, got 0"):
            Flux2Autoencoder(**{field: 0})
    with pytest.raises(UserError, match="scaling_factor is 0, expected a finite number other than 0"):
        FluxAutoencoder().network({"scaling_factor": 0})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(bad: float, tmp_path: Path):
    folder = Path(shutil.copytree(TINY_FOLDERS[0], tmp_path / "vae", copy_function=shutil.copyfile))
    weights = folder / "diffusion_pytorch_model.safetensors"
    arrays = safetensors.numpy.load_file(weights)
    arrays["decoder.conv_in.weight"].reshape(-1)[1] = bad
    safetensors.numpy.save_file(arrays, weights)
    with pytest.raises(UserError, match=rf"{weights}: decoder\.conv_in\.weight: 1 of \d+ numbers are not"):
        replace(config(TINY_FOLDERS[0]), path=str(folder)).build()
