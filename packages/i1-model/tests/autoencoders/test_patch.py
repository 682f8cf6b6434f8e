import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.testing.autoencoders import AutoencoderSuite


class TestPatch4(AutoencoderSuite):
    component = PatchAutoencoder()
    reconstruction_error = 0.0


class TestPatch3(AutoencoderSuite):
    component = PatchAutoencoder(factor=3)
    reconstruction_error = 0.0


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 8])
def test_round_trip_is_bit_exact_and_keeps_the_norm(factor: int) -> None:
    autoencoder = PatchAutoencoder(factor=factor).build()
    images = jax.random.normal(jax.random.key(factor), (2, 2 * factor, 3 * factor, 3))
    latents = autoencoder.encode({}, images)
    assert latents.shape == (2, 2, 3, 3 * factor**2)
    np.testing.assert_array_equal(autoencoder.decode({}, latents), images)
    np.testing.assert_array_equal(np.sort(np.ravel(latents)), np.sort(np.ravel(images)))


def test_channels_are_colour_then_row_then_column() -> None:
    images = jnp.arange(4 * 4 * 3, dtype=jnp.float32).reshape(1, 4, 4, 3)
    latents = PatchAutoencoder(factor=2).build().encode({}, images)
    assert latents[0, 1, 0].tolist() == [
        float(images[0, 2 + r, c, k]) for k in range(3) for r in range(2) for c in range(2)
    ]


def test_bad_sizes_are_user_errors() -> None:
    with pytest.raises(UserError, match="multiple of 4"):
        PatchAutoencoder().build().encode({}, jnp.zeros((1, 10, 8, 3)))
    with pytest.raises(UserError, match="factor must be from 1 to 1024, got 0"):
        PatchAutoencoder(factor=0)
