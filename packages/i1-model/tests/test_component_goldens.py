"""Recorded positions, norms, activations, initial values and full-size parameter trees."""

import dataclasses
import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_model.adapters import MLPAdapter
from i1_model.backbones import CrossAttention, DualStream, SingleStream
from i1_model.checkpoints.names import to_released
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.layers import make_norm
from i1_model.layers.positions import sinusoidal_table
from i1_model.layers.rope import default_axes, grid_table, joint_table, pairs_to_halves, rotate
from i1_model.layers.time_embedding import sinusoidal_time
from i1_model.sizes import HEAD_DIM, NUM_HEADS, model_config
from model_goldens import FOLDER, Embeddings, Latents
from model_goldens import model_config as recorded_config

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def components() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "components.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def recorded_names(pattern: str) -> list[tuple[str, ...]]:
    """Returns the names of recorded components that fit a pattern, each with what its groups match."""
    with np.load(FOLDER / "components.npz", allow_pickle=False) as arrays:
        names = arrays.files
    found = [
        (match[0], *match.groups(default="256")) for name in names if (match := re.fullmatch(pattern, name))
    ]
    assert found, f"{FOLDER / 'components.npz'} has no {pattern}"
    return found


def close(actual, expected, atol=1e-6):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("name", "dim"), recorded_names(r"timestep_embedding/dim(\d+)"))
def test_time_embedding(components, name, dim):
    actual = sinusoidal_time(jnp.asarray(components["timestep_embedding/t"]), int(dim))
    close(actual, components[name])


@pytest.mark.parametrize(
    ("name", "width", "grid", "resolution"), recorded_names(r"pos_embed/dim(\d+)_grid(\d+)(?:_res(\d+))?")
)
def test_position_table(components, name, width, grid, resolution):
    table = sinusoidal_table(int(width), (int(grid), int(grid)), 256 / int(resolution))
    np.testing.assert_array_equal(table[0], components[name])


def test_joint_rotary_table_and_rotation(components):
    mask = components["rope/text_mask"].astype(bool)
    batch, num_text = mask.shape
    num_image, head_dim = components["rope/cos"].shape[1] - num_text, components["rope/x"].shape[-1]
    edge = math.isqrt(num_image)
    lengths, axes = (num_text + 1, edge, edge), default_axes(head_dim)
    # The first pair of the row axis turns by the scale from one row to the next.
    second_row = (0, num_text + edge, axes[0] // 2)
    scale = round(
        float(np.arctan2(components["rope/sin"][second_row], components["rope/cos"][second_row])), 4
    )
    table = joint_table(jnp.asarray(mask), (edge, edge), axes, lengths, theta=1e4, scale=scale)

    def text_first(x, axis=1):
        image, text = np.split(np.asarray(x), [num_image], axis=axis)
        return np.concatenate([text, image], axis=axis)

    read = np.concatenate([mask, np.ones((batch, num_image), bool)], axis=1)[:, :, None]
    for name, values in (("cos", table.cos), ("sin", table.sin)):
        close(np.where(read, text_first(values), 0), np.where(read, components[f"rope/{name}"], 0))

    x = np.swapaxes(components["rope/x"], 1, 2)
    x = np.concatenate([x[:, num_text:], x[:, :num_text]], axis=1)
    turned = text_first(rotate(pairs_to_halves(jnp.asarray(x)), table))
    expected = pairs_to_halves(jnp.asarray(np.swapaxes(components["rope/x_rotated"], 1, 2)))
    close(np.where(read[..., None], turned, 0), np.where(read[..., None], expected, 0), atol=2e-6)


@pytest.mark.parametrize(
    ("name", "half", "edge", "resolution"), recorded_names(r"vision_rope/cos_dim(\d+)_hw(\d+)_res(\d+)")
)
def test_grid_rotary_table_and_rotation(components, name, half, edge, resolution):
    grid, scale = (int(edge), int(edge)), 256 / int(resolution)
    table = grid_table(grid, 2 * int(half), theta=1e4, scale=scale)
    close(np.repeat(table.cos[0], 2, axis=-1), components[name])
    close(np.repeat(table.sin[0], 2, axis=-1), components[name.replace("/cos_", "/sin_")])
    x = pairs_to_halves(jnp.asarray(np.swapaxes(components["vision_rope/x"], 1, 2)))
    expected = pairs_to_halves(jnp.asarray(np.swapaxes(components["vision_rope/x_rotated"], 1, 2)))
    close(rotate(x, table), expected, atol=2e-6)


def test_default_rotary_axes():
    recorded = json.loads((FOLDER / "components.json").read_text())["default_rope_axes"]
    assert {dim: list(default_axes(int(dim))) for dim in recorded} == recorded


@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_norms(components, kind):
    norm = make_norm(kind, components["norm/x"].shape[-1])
    norm.scale[...] = jnp.asarray(components["norm/scale"])
    if kind == "layer":
        norm.bias[...] = jnp.asarray(components["norm/bias"])
    x = jnp.asarray(components["norm/x"])
    close(norm(x), components[f"norm/{kind}"], atol=2e-6)
    narrow = norm(x.astype(jnp.bfloat16))
    assert narrow.dtype == jnp.bfloat16
    close(narrow.astype(jnp.float32), components[f"norm/{kind}_of_bfloat16"], atol=0)


def test_activations(components):
    x = jnp.asarray(components["act/x"])
    close(jax.nn.silu(x), components["act/silu"])
    close(jax.nn.gelu(x, approximate=False), components["act/gelu_exact"])
    close(jax.nn.gelu(x, approximate=True), components["act/gelu_tanh"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("init_*.json")), ids=lambda path: path.stem)
def test_initial_values_have_the_recorded_kinds(path):
    sidecar = json.loads(path.read_text())
    config = recorded_config(sidecar)
    params = to_released(jax.tree.map(np.asarray, nnx.split(init_denoiser(config, jax.random.key(0)))[1]))
    recorded = sidecar["stats"]
    assert {name: list(value.shape) for name, value in params.items()} == {
        name: stats["shape"] for name, stats in recorded.items()
    }
    for name, value in params.items():
        stats = recorded[name]
        if stats["std"] == 0 or name == "pos_embed":
            close([value.min(), value.max(), value.mean()], [stats["min"], stats["max"], stats["mean"]])
            continue
        fan_in, fan_out = int(np.prod(value.shape[:-1])), value.shape[-1]
        if "null_caption" in name:
            std, bound = value.shape[-1] ** -0.5, np.inf
        elif "skip_linear" in name or "connector_in" in name:
            std = np.sqrt(2 / (fan_in + fan_out))
            bound = np.sqrt(3) * std
        else:
            std, bound = fan_in**-0.5, 2 * fan_in**-0.5 / 0.87962566
        error = 4 / np.sqrt(value.size)
        assert abs(value.mean()) < error * std, name
        assert abs(value.std() / std - 1) < error, name
        assert np.abs(value).max() <= bound * 1.0001, name
        assert max(-stats["min"], stats["max"]) <= bound * 1.0001, name
        assert abs(stats["std"] / std - 1) < error, name


def size_config(name: str, resolution: int) -> ModelConfig:
    return model_config(
        name,
        text_encoders=(Embeddings(num_tokens=256, width=2304),),
        autoencoder=Latents(channels=32, factor=8),
        resolution=resolution,
    )


def full_size(name: str, resolution: int) -> dict[str, list[int]]:
    return shapes(size_config(name, resolution))


def shapes(config: ModelConfig) -> dict[str, list[int]]:
    params = jax.eval_shape(lambda: nnx.split(init_denoiser(config, jax.random.key(0)))[1])
    return {name: list(leaf.shape) for name, leaf in to_released(params).items()}


def count(tree: dict[str, list[int]]) -> int:
    return sum(int(np.prod(shape)) for shape in tree.values())


FULL_SIZES = json.loads((FOLDER / "fullsize_params.json").read_text())


@pytest.mark.parametrize("recorded", FULL_SIZES)
def test_full_size_names_and_shapes(recorded):
    name, _, resolution = recorded.partition("@")
    assert full_size(name, int(resolution or 1024)) == FULL_SIZES[recorded]


def test_512_differs_in_the_position_table_alone():
    at_512, at_1024 = full_size("i1-3B", 512), full_size("i1-3B", 1024)
    assert at_512.pop("pos_embed") == [1, 1024, 2016]
    assert at_1024.pop("pos_embed") == [1, 4096, 2016]
    assert at_512 == at_1024


TOTALS = {
    name: model["total"]
    for name, model in json.loads((FOLDER / "real_param_shapes.json").read_text())["models"].items()
}
BASELINES = {"dual_stream": DualStream, "single_stream": SingleStream, "cross_attn": CrossAttention}
BY_HEADS = {num_heads: name for name, num_heads in NUM_HEADS.items()}


@pytest.mark.parametrize("recorded", TOTALS)
def test_named_sizes_and_baselines_have_their_parameter_counts(recorded):
    kind, _, size = recorded.partition(":")
    num_heads = int(size.partition("_")[2] or 1152) // HEAD_DIM
    if resolution := re.fullmatch(r"(\d+)_resolution", kind):
        config = size_config(BY_HEADS[num_heads], int(resolution[1]))
    else:
        backbone = BASELINES[kind](
            hidden_width=HEAD_DIM * num_heads, num_heads=num_heads, adaln="time_and_text", sandwich_norm=False
        )
        config = dataclasses.replace(
            size_config(BY_HEADS[num_heads], 256), backbone=backbone, adapter=MLPAdapter()
        )
    assert count(shapes(config)) == TOTALS[recorded]
