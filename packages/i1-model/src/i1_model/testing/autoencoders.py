"""The conformance suite of autoencoders."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks.testing import ComponentSuite

from i1_model.autoencoders import Autoencoder, AutoencoderConfig


class AutoencoderSuite(ComponentSuite[AutoencoderConfig]):
    """What every autoencoder must do; subclass it in a test file.

    Attributes:
        reconstruction_error: largest mean absolute error of decode(encode(x)) on `images()`; `None` for an
            untrained autoencoder.

    Example:
        class TestMine(AutoencoderSuite):
            component = MyAutoencoder()
            reconstruction_error = 0.1
    """

    reconstruction_error: float | None = None

    def images(self) -> jax.Array:
        """Returns two smooth images of 4x6 latent positions, float32 in [-1, 1]."""
        f = self.component.factor
        rows = jnp.linspace(-1.0, 1.0, 4 * f)[:, None, None]
        columns = jnp.linspace(-1.0, 1.0, 6 * f)[None, :, None]
        colours = jnp.array([0.2, -0.5, 0.9])[None, None, :]
        image = jnp.clip(rows * columns + colours, -1.0, 1.0)
        return jnp.stack([image, -image])

    def test_build_satisfies_the_protocol(self) -> None:
        """`build()` returns an object with `params`, `encode` and `decode`."""
        built = self.component.build()
        assert isinstance(built, Autoencoder), f"build() returned {built!r}: no params, encode and decode"

    def test_the_abstract_autoencoder_has_the_same_shapes(self) -> None:
        """`build_abstract()` gives parameters of the same structure and shapes as `build()`."""
        real, abstract = self.component.build(), self.component.build_abstract()
        assert isinstance(abstract, Autoencoder), f"build_abstract() returned {abstract!r}"
        shapes = [jax.tree.map(jnp.shape, autoencoder.params) for autoencoder in (real, abstract)]
        assert shapes[0] == shapes[1], f"build() has parameters {shapes[0]}, build_abstract() {shapes[1]}"

    def test_shapes_under_jit(self) -> None:
        """`encode` gives float32 (B, H/factor, W/factor, channels), `decode` finite float32 (B, H, W, 3)."""
        autoencoder = self.component.build()
        images = self.images()
        latents = jax.jit(autoencoder.encode)(autoencoder.params, images, jax.random.key(0))
        found, expected = f"{latents.dtype} {latents.shape}", f"float32 {(2, 4, 6, self.component.channels)}"
        assert found == expected, f"encode returned {found}, expected {expected}"
        decoded = jax.jit(autoencoder.decode)(autoencoder.params, latents)
        found, expected = f"{decoded.dtype} {decoded.shape}", f"float32 {images.shape}"
        assert found == expected, f"decode returned {found}, expected {expected}"
        assert bool(jnp.isfinite(decoded).all()), "decoded images are not finite"

    def test_the_mode_is_deterministic(self) -> None:
        """Without a key, `encode` gives the same latents each time."""
        autoencoder = self.component.build()
        first, second = (autoencoder.encode(autoencoder.params, self.images()) for _ in range(2))
        np.testing.assert_array_equal(first, second, err_msg="two calls without a key gave different latents")

    def test_an_image_does_not_depend_on_its_batch(self) -> None:
        """The latents of an image are the same, alone or in a batch."""
        autoencoder = self.component.build()
        images = self.images()
        together = autoencoder.encode(autoencoder.params, images)
        alone = autoencoder.encode(autoencoder.params, images[1:])
        message = "an image has other latents alone than in a batch"
        np.testing.assert_allclose(alone[0], together[1], atol=1e-5, err_msg=message)

    def test_reconstruction(self) -> None:
        """`decode(encode(x))` is x, up to the `reconstruction_error` that the test states."""
        if self.reconstruction_error is None:
            return
        autoencoder = self.component.build()
        images = self.images()
        decoded = autoencoder.decode(autoencoder.params, autoencoder.encode(autoencoder.params, images))
        error, limit = float(jnp.abs(decoded - images).mean()), self.reconstruction_error
        assert error <= limit, f"the mean absolute error of decode(encode(x)) is {error:.3g}, above {limit}"
