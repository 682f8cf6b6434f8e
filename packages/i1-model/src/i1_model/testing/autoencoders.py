"""The conformance suite of autoencoders."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks.testing import ComponentSuite

from i1_model.autoencoders import Autoencoder, AutoencoderConfig


class AutoencoderSuite(ComponentSuite[AutoencoderConfig]):
    """What every autoencoder must do; subclass it in a test file.

    Example:
        class TestMine(AutoencoderSuite):
            component = MyAutoencoder()
            reconstruction_error = 0.1
    """

    reconstruction_error: float | None = None
    """Largest mean absolute error of decode(encode(x)) on `images`; `None` for an untrained autoencoder."""

    def images(self) -> jax.Array:
        """Two smooth images of 4x6 latent positions."""
        f = self.component.factor
        rows = jnp.linspace(-1.0, 1.0, 4 * f)[:, None, None]
        columns = jnp.linspace(-1.0, 1.0, 6 * f)[None, :, None]
        colours = jnp.array([0.2, -0.5, 0.9])[None, None, :]
        image = jnp.clip(rows * columns + colours, -1.0, 1.0)
        return jnp.stack([image, -image])

    def test_build_satisfies_the_protocol(self) -> None:
        assert isinstance(self.component.build(), Autoencoder)

    def test_the_abstract_autoencoder_has_the_same_shapes(self) -> None:
        real, abstract = self.component.build(), self.component.build_abstract()
        assert jax.tree.map(jnp.shape, real.params) == jax.tree.map(jnp.shape, abstract.params)
        assert isinstance(abstract, Autoencoder)

    def test_shapes_under_jit(self) -> None:
        autoencoder = self.component.build()
        images = self.images()
        latents = jax.jit(autoencoder.encode)(autoencoder.params, images, jax.random.key(0))
        assert latents.shape == (2, 4, 6, self.component.channels)
        assert latents.dtype == jnp.float32
        decoded = jax.jit(autoencoder.decode)(autoencoder.params, latents)
        assert decoded.shape == images.shape
        assert decoded.dtype == jnp.float32
        assert bool(jnp.isfinite(decoded).all())

    def test_the_mode_is_deterministic(self) -> None:
        autoencoder = self.component.build()
        first, second = (autoencoder.encode(autoencoder.params, self.images()) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_an_image_does_not_depend_on_its_batch(self) -> None:
        autoencoder = self.component.build()
        images = self.images()
        together = autoencoder.encode(autoencoder.params, images)
        alone = autoencoder.encode(autoencoder.params, images[1:])
        np.testing.assert_allclose(alone[0], together[1], atol=1e-5)

    def test_reconstruction(self) -> None:
        if self.reconstruction_error is None:
            return
        autoencoder = self.component.build()
        images = self.images()
        decoded = autoencoder.decode(autoencoder.params, autoencoder.encode(autoencoder.params, images))
        assert float(jnp.abs(decoded - images).mean()) <= self.reconstruction_error
