"""Tiles against the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.autoencoders.tiling import map_tiles


def blur_and_double(x):
    rows = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), mode="edge")
    blurred = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
    return jnp.repeat(jnp.repeat(blurred, 2, axis=1), 2, axis=2)


def test_local_functions_give_the_values_of_the_whole():
    x = jax.random.normal(jax.random.key(0), (2, 13, 22, 3))
    tiled = jax.jit(lambda x: map_tiles(lambda part: 3 * part, x, tile=8, overlap=3))(x)
    np.testing.assert_allclose(tiled, 3 * x, rtol=0, atol=1e-6)


def test_joins_are_free_of_seams():
    x = jnp.broadcast_to(jnp.linspace(0.0, 1.0, 40)[None, :, None, None], (1, 40, 9, 1))
    overlap, unit_out = 8, 2

    def level(part):
        return jnp.broadcast_to(part.mean(), (1, 2 * part.shape[1], 2 * part.shape[2], 1))

    tiled = map_tiles(level, x, tile=16, overlap=overlap, unit_out=unit_out)
    assert tiled.shape == (1, 80, 18, 1)
    steps = np.abs(np.diff(np.asarray(tiled)[0, :, :, 0], axis=0))
    between_tiles = 8 / 39  # the levels of neighbours, which start eight rows apart
    assert 0 < steps.max() <= 1.001 * between_tiles / (overlap * unit_out)


def test_what_a_tile_does_not_see_counts_little():
    x = jax.random.normal(jax.random.key(2), (1, 40, 12, 1))
    tiled = map_tiles(blur_and_double, x, tile=16, overlap=8, unit_out=2)
    error = np.abs(np.asarray(tiled - blur_and_double(x)))
    assert error.max() < np.abs(np.asarray(x)).max() / 16


def test_halving_functions():
    x = jax.random.normal(jax.random.key(1), (1, 24, 12, 2))
    halved = map_tiles(lambda part: part[:, ::2, ::2], x, tile=5, overlap=2, unit_in=2)
    np.testing.assert_allclose(halved, x[:, ::2, ::2], rtol=0, atol=1e-6)


def test_small_pictures_are_taken_whole():
    x = jnp.ones((1, 8, 8, 1))
    for tile in (None, 8):
        np.testing.assert_array_equal(map_tiles(lambda part: part, x, tile=tile, overlap=99), x)


def test_overlap_that_does_not_fit():
    with pytest.raises(UserError, match="tile 4 with overlap 4: use an overlap from 1 to 3"):
        map_tiles(lambda part: part, jnp.ones((1, 8, 8, 1)), tile=4, overlap=4)
