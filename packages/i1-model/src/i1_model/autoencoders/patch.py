"""An autoencoder without weights: space to channel, a permutation of the pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

from i1_hooks import UserError
from jax import Array
from jaxtyping import Float, PyTree

from i1_model.autoencoders.base import AutoencoderConfig

LARGEST_FACTOR = 1024


@dataclass(frozen=True, kw_only=True)
class PatchAutoencoder(AutoencoderConfig):
    """Configuration of the patch autoencoder.

    Attributes:
        factor: side of a patch in pixels, any positive integer.
        channels: 3 * factor^2; follows from the factor.
    """

    factor: int = 4
    channels: int = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.factor <= LARGEST_FACTOR:
            raise UserError(
                f"patch autoencoder: factor must be from 1 to {LARGEST_FACTOR}, got {self.factor}"
            )
        object.__setattr__(self, "channels", 3 * self.factor**2)

    def build(self) -> SpaceToChannel:
        """Returns the autoencoder; it has no weights to load."""
        return SpaceToChannel(self)


class SpaceToChannel:
    """Moves each factor x factor patch into channels, ordered (colour, row, column).

    A permutation, hence orthonormal: distances and Gaussian noise are the same on both sides, and decoding an
    encoded image returns it bit for bit.
    """

    def __init__(self, config: PatchAutoencoder) -> None:
        self.config = config
        self.params: dict[str, Array] = {}

    def encode(
        self, params: PyTree, images: Float[Array, "B H W 3"], key: Array | None = None
    ) -> Float[Array, "B h w C"]:
        """Moves space into channels; there is no posterior, so `params` and `key` change nothing.

        Args:
            params: unused.
            images: (B, H, W, 3).
            key: unused.

        Returns:
            (B, H/factor, W/factor, 3 factor^2).

        Raises:
            UserError: when the factor does not divide H or W.
        """
        del params, key
        f = self.config.factor
        batch, height, width, colours = images.shape
        if height % f or width % f:
            raise UserError(
                f"patch autoencoder: a {width}x{height} image does not divide into {f}x{f} patches; "
                f"choose a size that is a multiple of {f}"
            )
        x = images.reshape(batch, height // f, f, width // f, f, colours)
        return x.transpose(0, 1, 3, 5, 2, 4).reshape(batch, height // f, width // f, colours * f * f)

    def decode(self, params: PyTree, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Moves channels back into space, the inverse of `encode`.

        Args:
            params: unused.
            latents: (B, h, w, 3 factor^2).

        Returns:
            (B, h*factor, w*factor, 3).
        """
        del params
        f = self.config.factor
        batch, height, width, channels = latents.shape
        x = latents.reshape(batch, height, width, channels // (f * f), f, f)
        return x.transpose(0, 1, 4, 2, 5, 3).reshape(batch, height * f, width * f, channels // (f * f))
