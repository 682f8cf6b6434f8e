"""What an autoencoder is: pure functions between pixels in [-1, 1] and normalised latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from i1_hooks import ComponentConfig

if TYPE_CHECKING:
    import jax

    from i1_model.arrays.loading import Progress, Sharding


class AutoencoderConfig(ComponentConfig, kind="autoencoders"):
    """Base of every autoencoder's configuration.

    A value that follows from other fields (such as the channels of a patch) is declared with
    `dataclasses.field(init=False)` and set in `__post_init__`.

    Attributes:
        channels: channels C of the latents.
        factor: pixels per latent position along each side.
    """

    channels: int
    factor: int

    def build(self) -> Autoencoder:
        """Returns the autoencoder, with its frozen arrays loaded."""
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")

    def build_with(
        self, *, sharding: Sharding | None = None, progress: Progress | None = None
    ) -> Autoencoder:
        """Returns the autoencoder as `build` does, its arrays where they are wanted.

        By default that is `build`; an autoencoder whose weights are files overrides it.

        Args:
            sharding: where each array goes; None is the default device.
            progress: told how far reading is.
        """
        del sharding, progress
        return self.build()

    def build_abstract(self) -> Autoencoder:
        """Returns the autoencoder with shapes in place of arrays, enough to trace `encode` and `decode`.

        By default that is `build`; an autoencoder whose weights are files overrides it, so that a step can be
        compiled without them.
        """
        return self.build()


@runtime_checkable
class Autoencoder(Protocol):
    """A frozen autoencoder; arrays are NHWC float32."""

    @property
    def params(self) -> Any:
        """The frozen arrays, a pytree; empty for an autoencoder without weights."""
        ...

    def encode(self, params: Any, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Encodes images; pure and jittable.

        Args:
            params: the autoencoder's `params`.
            images: (B, H, W, 3) in [-1, 1], H and W multiples of the factor.
            key: draws from the posterior; `None` takes its mode.

        Returns:
            Normalised latents (B, H/factor, W/factor, C).
        """
        ...

    def decode(self, params: Any, latents: jax.Array) -> jax.Array:
        """Decodes normalised latents; pure and jittable.

        Args:
            params: the autoencoder's `params`.
            latents: (B, h, w, C).

        Returns:
            Images (B, h*factor, w*factor, 3), nominally in [-1, 1], not clipped.
        """
        ...
