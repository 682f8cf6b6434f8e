"""Fresh random autoencoders of diffusers, saved by it and read by ours: equal latents and images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.trees import flatten
from i1_model.autoencoders.flux import Flux2Autoencoder, FluxAutoencoder
from i1_model.autoencoders.qwen_image import QwenImageAutoencoder
from model_goldens import QUICK

torch = pytest.importorskip("torch", reason="needs the extra torch", exc_type=ImportError)
diffusers = pytest.importorskip("diffusers", reason="needs the extra torch", exc_type=ImportError)

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
ATOL = 1e-5
KL = {
    "block_out_channels": [4, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "latent_channels": 4,
    "norm_num_groups": 2,
}


def flux():
    config = {**KL, "scaling_factor": 0.3611, "shift_factor": 0.1159}
    theirs = diffusers.AutoencoderKL(
        **config, layers_per_block=1, use_quant_conv=False, use_post_quant_conv=False
    )
    return theirs, lambda z: (z - 0.1159) * 0.3611


def flux2():
    theirs = diffusers.AutoencoderKLFlux2(**KL, layers_per_block=2)
    theirs.bn.running_mean.normal_()
    theirs.bn.running_var.uniform_(0.5, 2)

    def normalise(z):
        packed = torch.nn.functional.pixel_unshuffle(z, 2)
        mean, var = (value[None, :, None, None] for value in (theirs.bn.running_mean, theirs.bn.running_var))
        return torch.nn.functional.pixel_shuffle((packed - mean) / torch.sqrt(var + 1e-4), 2)

    return theirs, normalise


def qwen_image():
    mean, std = torch.randn(4), torch.rand(4) + 0.5
    theirs = diffusers.AutoencoderKLQwenImage(
        base_dim=6,
        z_dim=4,
        dim_mult=[1, 2, 3],
        num_res_blocks=2,
        temperal_downsample=[False, True],
        latents_mean=mean.tolist(),
        latents_std=std.tolist(),
    )
    return theirs, lambda z: (z - mean[:, None, None]) / std[:, None, None]


CASES = {
    "flux": (flux, FluxAutoencoder),
    "flux2": (flux2, Flux2Autoencoder),
    "qwen_image": (qwen_image, QwenImageAutoencoder),
}


@pytest.mark.parametrize("case", CASES)
def test_latents_and_images_equal_those_of_diffusers(case, tmp_path):
    make, autoencoder = CASES[case]
    torch.manual_seed(7)
    theirs, normalise = make()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    theirs.eval().save_pretrained(tmp_path)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 3, 16, 24)).astype(np.float32)
    frames = (slice(None), slice(None), None) if case == "qwen_image" else ()
    with torch.no_grad():
        posterior = theirs.encode(torch.from_numpy(image)[frames]).latent_dist
        mean, logvar = (value.reshape(2, 4, 4, 6) for value in (posterior.mean, posterior.logvar))
        decoded = theirs.decode(posterior.mean).sample.reshape(image.shape)

    ours = autoencoder(path=str(tmp_path), channels=4, factor=4).build()

    def run(params, image):
        latents = ours.encode(params, image)
        return *ours.posterior(params, image), latents, ours.decode(params, latents)

    image = jnp.asarray(image.transpose(0, 2, 3, 1))
    found = jax.jit(run, compiler_options=QUICK)(ours.params, image)
    found = [np.asarray(value).transpose(0, 3, 1, 2) for value in found]
    if case == "qwen_image":
        found[3] = found[3].clip(-1, 1)  # as its class does, ours does not
    for value, expected in zip(found, (mean, logvar, normalise(mean), decoded), strict=True):
        np.testing.assert_allclose(value, expected.numpy(), rtol=ATOL, atol=ATOL)


def test_full_size_names_and_shapes():
    with torch.device("meta"):
        theirs = diffusers.AutoencoderKLQwenImage()
    stored = {
        name: LazyArray.of(np.empty(tuple(value.shape), np.float32))
        for name, value in theirs.state_dict().items()
    }
    shapes = {
        name: tuple(array.shape[axis] for axis in (2, 3, 1, 0)) if len(array.shape) == 4 else array.shape
        for name, array in QwenImageAutoencoder.stored(stored).items()
    }
    network = nnx.eval_shape(lambda: QwenImageAutoencoder().network(dict(theirs.config)))
    ours = {name.replace("/", "."): leaf.shape for name, leaf in flatten(nnx.split(network)[1]).items()}
    assert ours == shapes
    assert (network.channels, network.factor) == (QwenImageAutoencoder.channels, QwenImageAutoencoder.factor)
