"""The FLUX.1 and FLUX.2 autoencoders, their weights read from a diffusers folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks import UserError
from jax import Array

from i1_model.autoencoders.base import AutoencoderConfig
from i1_model.autoencoders.kl import AutoencoderKL, KLSizes, sizes_from_json
from i1_model.autoencoders.tiling import map_tiles
from i1_model.formats.safetensors_file import find_safetensors, read_json, safetensors_arrays
from i1_model.layers.linear import last_axis
from i1_model.names import check_arrays, flatten

_AXES = {2: (1, 0), 4: (2, 3, 1, 0)}
"""Stored dense (out, in) becomes (in, out), convolution (out, in, row, column) (row, column, in, out)."""
_NOT_READ = "bn.num_batches_tracked"


@dataclass(frozen=True, kw_only=True)
class FluxAutoencoder(AutoencoderConfig):
    """Configuration of the FLUX.1 autoencoder: latents `(z - 0.1159) * 0.3611`.

    Attributes:
        path: folder with `config.json` and `diffusion_pytorch_model.safetensors`; None is only good for a
            configuration that is not built.
        channels: channels of the latents.
        factor: pixels per latent position along each side.
        tile: side, in latent positions, of the tiles that larger pictures are encoded and decoded by, which
            bounds memory; each tile has its own norm statistics, so values differ a little from the whole.
            None takes every picture as a whole.
        tile_overlap: latent positions that neighbouring tiles share at least.
    """

    path: str | None = None
    channels: int = 16
    factor: int = 8
    tile: int | None = None
    tile_overlap: int = 16

    repository: ClassVar[str] = "black-forest-labs/FLUX.1-dev"
    published: ClassVar[dict[str, Any]] = {"use_quant_conv": False, "use_post_quant_conv": False}
    """Sizes in the published `config.json` that are not FLUX.2's."""

    def build(self) -> KLAutoencoder:
        """Returns the autoencoder with its weights.

        Raises:
            UserError: when the folder is absent, damaged, or holds another autoencoder.
        """
        where = (
            f"the subfolder vae of {self.repository} (accept its licence at "
            f"https://huggingface.co/{self.repository} to download it)"
        )
        if self.path is None:
            raise UserError(f"{self.repository} autoencoder: set its field path to {where}")
        folder = Path(self.path)
        if not (folder / "config.json").is_file():
            raise UserError(f"autoencoder path {folder} has no config.json: it should be {where}")
        data = read_json(folder / "config.json")
        try:
            sizes = sizes_from_json(data)
        except UserError as error:
            raise UserError(f"{folder / 'config.json'}: {error}") from error
        if (sizes.latent_channels, sizes.factor) != (self.channels, self.factor):
            raise UserError(
                f"{folder} has {sizes.latent_channels} channels and factor {sizes.factor}, the configuration "
                f"says channels {self.channels} and factor {self.factor}"
            )
        graphdef, expected = nnx.split(nnx.eval_shape(lambda: self.network(sizes, data)))
        return KLAutoencoder(self, graphdef, _load(folder, expected))

    def build_abstract(self) -> KLAutoencoder:
        """Returns the autoencoder of the published sizes with the shapes of its weights; no file is read."""
        sizes = KLSizes(latent_channels=self.channels, **self.published)
        if sizes.factor != self.factor:
            raise UserError(f"{self.repository} autoencoder has factor {sizes.factor}, not {self.factor}")
        return KLAutoencoder(self, *nnx.split(nnx.eval_shape(lambda: self.network(sizes, {}))))

    def network(self, sizes: KLSizes, data: dict[str, Any]) -> FluxKL | Flux2KL:
        """Returns the network for the sizes and the rest of the `config.json`."""
        return FluxKL(sizes, data.get("shift_factor", 0.1159), data.get("scaling_factor", 0.3611))


@dataclass(frozen=True, kw_only=True)
class Flux2Autoencoder(FluxAutoencoder):
    """Configuration of the FLUX.2 autoencoder, i1's: each of 2x2 x 32 channels normalised by its statistics.

    Attributes:
        channels: channels of the latents.
    """

    channels: int = 32

    repository: ClassVar[str] = "black-forest-labs/FLUX.2-dev"
    published: ClassVar[dict[str, Any]] = {}

    def network(self, sizes: KLSizes, data: dict[str, Any]) -> Flux2KL:
        """Returns the network for the sizes and the rest of the `config.json`."""
        return Flux2KL(sizes, data.get("batch_norm_eps", 1e-4))


class FluxKL(AutoencoderKL):
    """The network with FLUX.1's normalisation of latents."""

    def __init__(self, sizes: KLSizes, shift: float, scale: float) -> None:
        super().__init__(sizes)
        self.shift = shift
        self.scale = scale

    def normalise(self, latents: Array) -> Array:
        """Maps the encoder's latents to those of the denoiser."""
        return (latents - self.shift) * self.scale

    def denormalise(self, latents: Array) -> Array:
        """Maps the denoiser's latents to those of the decoder."""
        return latents / self.scale + self.shift


class Statistics(nnx.Module):
    """Mean and variance of every channel of the packed latents."""

    def __init__(self, width: int) -> None:
        self.running_mean = nnx.Param(jnp.zeros((width,), jnp.float32))
        self.running_var = nnx.Param(jnp.ones((width,), jnp.float32))


class Flux2KL(AutoencoderKL):
    """The network with FLUX.2's normalisation of latents."""

    def __init__(self, sizes: KLSizes, epsilon: float) -> None:
        super().__init__(sizes)
        self.bn = Statistics(4 * sizes.latent_channels)
        self.epsilon = epsilon

    def normalise(self, latents: Array) -> Array:
        """Maps the encoder's latents to those of the denoiser; sides are even."""
        packed = pack(latents)
        mean, deviation = self._statistics()
        return unpack((packed - mean) / deviation)

    def denormalise(self, latents: Array) -> Array:
        """Maps the denoiser's latents to those of the decoder; sides are even."""
        mean, deviation = self._statistics()
        return unpack(pack(latents) * deviation + mean)

    def _statistics(self) -> tuple[Array, Array]:
        deviation = jnp.sqrt(self.bn.running_var[...] + self.epsilon)
        return last_axis(self.bn.running_mean[...], 4), last_axis(deviation, 4)


class KLAutoencoder:
    """A loaded autoencoder; see `i1_model.autoencoders.base.Autoencoder`."""

    def __init__(self, config: FluxAutoencoder, graphdef: Any, params: Any) -> None:
        self.config = config
        self._graphdef = graphdef
        self.params = params

    def posterior(self, params: Any, images: Array) -> tuple[Array, Array]:
        """Returns mean and log variance (B, H/f, W/f, C), not normalised, of images (B, H, W, 3)."""
        return self._posterior(self.network(params), images)

    def network(self, params: Any) -> FluxKL | Flux2KL:
        """Returns the network with these parameters."""
        return nnx.merge(self._graphdef, params)

    def encode(self, params: Any, images: Array, key: Array | None = None) -> Array:
        """Encodes images.

        Args:
            params: the autoencoder's `params`.
            images: (B, H, W, 3) in [-1, 1].
            key: of the draw `mean + std * normal(key)` from the posterior; None takes the mean.

        Returns:
            Normalised latents (B, H/f, W/f, C).
        """
        network = self.network(params)
        latents, logvar = self._posterior(network, images)
        if key is not None:
            noise = jax.random.normal(key, latents.shape, latents.dtype)
            latents = latents + jnp.exp(0.5 * logvar) * noise
        return network.normalise(latents)

    def decode(self, params: Any, latents: Array) -> Array:
        """Decodes normalised latents (B, h, w, C) to images (B, h f, w f, 3), nominally in [-1, 1]."""
        network, config = self.network(params), self.config
        return map_tiles(
            network.decode,
            network.denormalise(latents),
            tile=config.tile,
            overlap=config.tile_overlap,
            unit_out=config.factor,
        )

    def _posterior(self, network: AutoencoderKL, images: Array) -> tuple[Array, Array]:
        config = self.config
        moments = map_tiles(
            lambda part: jnp.concatenate(network.posterior(part), axis=-1),
            images,
            tile=config.tile,
            overlap=config.tile_overlap,
            unit_in=config.factor,
        )
        mean, logvar = jnp.split(moments, 2, axis=-1)
        return mean, logvar


def pack(latents: Array) -> Array:
    """Moves 2x2 positions into channels: (B, h, w, C) to (B, h/2, w/2, C 2 2), flattened."""
    batch, height, width, channels = latents.shape
    x = latents.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(batch, height // 2, width // 2, 4 * channels)


def unpack(packed: Array) -> Array:
    """Undoes `pack`."""
    batch, height, width, channels = packed.shape
    x = packed.reshape(batch, height, width, channels // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)


def _load(folder: Path, expected: Any) -> Any:
    """Returns the state with its arrays read from the folder, in float32."""
    path = find_safetensors(folder, "diffusion_pytorch_model")
    stored = {
        name: array.transpose(_AXES[len(array.shape)]) if len(array.shape) in _AXES else array
        for name, array in safetensors_arrays(path).items()
        if name != _NOT_READ
    }
    shapes = {name.replace("/", "."): tuple(leaf.shape) for name, leaf in flatten(expected).items()}
    try:
        check_arrays(shapes, stored)
    except UserError as error:
        raise UserError(f"{path} does not fit config.json beside it: {error}") from error
    arrays = [jnp.asarray(np.asarray(stored[name], np.float32)) for name in shapes]
    return jax.tree.unflatten(jax.tree.structure(expected), arrays)
