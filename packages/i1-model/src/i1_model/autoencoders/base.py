"""The interface of an autoencoder: pure functions between pixels in [-1, 1] and normalised latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from i1_hooks import ComponentConfig

from i1_model.frozen import FrozenPart

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float, PyTree


class AutoencoderConfig(ComponentConfig, FrozenPart["Autoencoder"], kind="autoencoders"):
    """Base of every autoencoder's configuration.

    A value that follows from other fields (such as the channels of a patch) is declared with
    `dataclasses.field(init=False)` and set in `__post_init__`.

    Attributes:
        channels: channels C of the latents.
        factor: pixels per latent position along each side.
    """

    channels: int
    factor: int


@runtime_checkable
class Autoencoder(Protocol):
    """A frozen autoencoder; arrays are NHWC float32."""

    @property
    def params(self) -> PyTree:
        """The frozen arrays, a pytree; empty for an autoencoder without weights."""
        ...

    def encode(
        self, params: PyTree, images: Float[Array, "B H W 3"], key: Array | None = None
    ) -> Float[Array, "B h w C"]:
        """Encodes images; pure and jittable.

        Args:
            params: the autoencoder's `params`.
            images: (B, H, W, 3) in [-1, 1], H and W multiples of the factor.
            key: draws from the posterior; `None` takes its mode.

        Returns:
            Normalised latents (B, H/factor, W/factor, C).
        """
        ...

    def decode(self, params: PyTree, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Decodes normalised latents; pure and jittable.

        Args:
            params: the autoencoder's `params`.
            latents: (B, h, w, C).

        Returns:
            Images (B, h*factor, w*factor, 3), nominally in [-1, 1], not clipped.
        """
        ...
