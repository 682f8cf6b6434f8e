"""Positions of the published resolutions, number by number from the formula."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from i1_model.autoencoders.flux import Flux2Autoencoder
from i1_model.checkpoints.torch_names import rope_tables
from i1_model.layers.positions import sinusoidal_table
from i1_model.layers.rope import default_axes, joint_table
from i1_model.sizes import model_config
from i1_model.text_encoders.t5gemma import T5GemmaEncoder

THETA, AXES, NUM_TEXT = 10000.0, (36, 18, 18), 256
ATOL = 2e-5  # float32 of an angle of up to 256


def rotation(position: float, pair: int, dim: int) -> complex:
    angle = position * math.exp(-math.log(THETA) * 2 * pair / dim)
    return complex(math.cos(angle), math.sin(angle))


def token(sequence: int, row: float, column: float) -> list[complex]:
    places = zip((sequence, row, column), AXES, strict=True)
    return [rotation(place, pair, dim) for place, dim in places for pair in range(dim // 2)]


@pytest.mark.parametrize("resolution", [256, 512, 1024])
def test_rotary_tables(resolution: int):
    assert default_axes(72) == AXES
    side, scale = resolution // 16, 256 / resolution
    lengths = (NUM_TEXT, 5)
    mask = jnp.asarray(np.arange(NUM_TEXT) < np.array(lengths)[:, None])
    table = joint_table(mask, (side, side), AXES, (NUM_TEXT + 1, side, side), theta=THETA, scale=scale)
    found = np.asarray(table.cos) + 1j * np.asarray(table.sin)
    assert found.shape == (2, side * side + NUM_TEXT, 36)
    for row, column in ((0, 0), (0, side - 1), (side - 1, 0), (7, 11), (side - 1, side - 1)):
        for example, length in enumerate(lengths):
            expected = token(length, row * scale, column * scale)
            np.testing.assert_allclose(found[example, row * side + column], expected, rtol=0, atol=ATOL)
    for place in (0, 1, 200, 255):
        np.testing.assert_allclose(found[0, side * side + place], token(place, 0, 0), rtol=0, atol=ATOL)


@pytest.mark.parametrize("resolution", [512, 1024])
def test_tables_of_the_torch_form(resolution: int):
    config = model_config(
        "i1-3B", text_encoders=(T5GemmaEncoder(),), autoencoder=Flux2Autoencoder(), resolution=resolution
    )
    tables, side = rope_tables(config), resolution // 16
    for axis, (length, dim, scale) in enumerate(
        zip((257, side, side), AXES, (1.0, 256 / resolution, 256 / resolution), strict=True)
    ):
        cos, sin = (np.asarray(tables[f"rope_embedder.{part}_tables.{axis}"]) for part in ("cos", "sin"))
        last = [rotation((length - 1) * scale, pair, dim) for pair in range(dim // 2)]
        assert cos.shape == sin.shape == (length, dim // 2)
        np.testing.assert_allclose(cos[-1] + 1j * sin[-1], last, rtol=0, atol=ATOL)


@pytest.mark.parametrize("resolution", [256, 512, 1024])
def test_sinusoidal_table(resolution: int):
    width, side, scale = 144, resolution // 16, 256 / resolution
    table = sinusoidal_table(width, (side, side), scale)
    assert table.shape == (1, side * side, width)
    quarter = width // 4
    for row, column in ((0, 0), (3, side - 1), (side - 1, 5)):
        angles = [
            [place * scale * 10000 ** (-i / quarter) for i in range(quarter)] for place in (column, row)
        ]
        expected = [f(a) for half in angles for f in (math.sin, math.cos) for a in half]
        np.testing.assert_allclose(table[0, row * side + column], expected, rtol=0, atol=1e-6)
