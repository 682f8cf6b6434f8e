"""The FLUX.1 and FLUX.2 autoencoders, their weights read from a diffusers folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from i1_model.arrays.json_object import JsonObject
from i1_model.arrays.lazy import LazyArray
from i1_model.autoencoders.kl import AutoencoderKL, KLSizes, sizes_from_json
from i1_model.autoencoders.pretrained import PretrainedAutoencoder
from i1_model.autoencoders.sizes import read_number
from i1_model.ops.matmul import last_axis


@dataclass(frozen=True, kw_only=True)
class FluxAutoencoder(PretrainedAutoencoder):
    """Configuration of the FLUX.1 autoencoder: latents `(z - 0.1159) * 0.3611`.

    With `tile`, each tile has its own norm statistics.
    """

    repository: ClassVar[str] = "black-forest-labs/FLUX.1-dev"
    gated: ClassVar[bool] = True
    published: ClassVar[JsonObject] = {
        "latent_channels": 16,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }

    def network(self, data: JsonObject) -> FluxKL | Flux2KL:
        """Returns the network of a `config.json`."""
        shift, scale = (
            read_number(data, name, default)
            for name, default in (("shift_factor", 0.1159), ("scaling_factor", 0.3611))
        )
        return FluxKL(sizes_from_json(data), shift, scale)


@dataclass(frozen=True, kw_only=True)
class Flux2Autoencoder(FluxAutoencoder):
    """Configuration of the FLUX.2 autoencoder, used by i1: 2x2 x 32 channels, normalised by statistics.

    Attributes:
        channels: the channels of the latents.
    """

    channels: int = 32

    repository: ClassVar[str] = "black-forest-labs/FLUX.2-dev"
    published: ClassVar[JsonObject] = {"latent_channels": 32}

    def network(self, data: JsonObject) -> Flux2KL:
        """Returns the network of a `config.json`."""
        return Flux2KL(sizes_from_json(data), read_number(data, "batch_norm_eps", 1e-4))

    @staticmethod
    def stored(arrays: Mapping[str, LazyArray]) -> dict[str, LazyArray]:
        """Returns the stored arrays without the count of batches, which is not used."""
        return {name: array for name, array in arrays.items() if name != "bn.num_batches_tracked"}


class FluxKL(AutoencoderKL):
    """The network with FLUX.1's normalisation of latents."""

    def __init__(self, sizes: KLSizes, shift: float, scale: float) -> None:
        super().__init__(sizes)
        self.shift = shift
        self.scale = scale

    def normalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """Maps the encoder's latents to those of the denoiser."""
        return (latents - self.shift) * self.scale

    def denormalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
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

    def normalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """Maps the encoder's latents to those of the denoiser; sides are even."""
        packed = pack(latents)
        mean, deviation = self._statistics()
        return unpack((packed - mean) / deviation)

    def denormalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """Maps the denoiser's latents to those of the decoder; sides are even."""
        mean, deviation = self._statistics()
        return unpack(pack(latents) * deviation + mean)

    def _statistics(self) -> tuple[Array, Array]:
        deviation = jnp.sqrt(self.bn.running_var[...] + self.epsilon)
        return last_axis(self.bn.running_mean[...], 4), last_axis(deviation, 4)


def pack(latents: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
    """Moves 2x2 positions into channels: (B, h, w, C) to (B, h/2, w/2, C 2 2), flattened."""
    batch, height, width, channels = latents.shape
    x = latents.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(batch, height // 2, width // 2, 4 * channels)


def unpack(packed: Float[Array, "B h w D"]) -> Float[Array, "B H W C"]:
    """Undoes `pack`."""
    batch, height, width, channels = packed.shape
    x = packed.reshape(batch, height, width, channels // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)
