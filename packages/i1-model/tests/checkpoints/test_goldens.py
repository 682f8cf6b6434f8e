"""Every recorded checkpoint: its outputs, and that all forms of one model hold the same.

The sidecar `*_io.json` names the checkpoint and holds its settings, the sizes of which are read from there.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from i1_model.arrays.archive import Archive
from i1_model.arrays.npz import npz_arrays
from i1_model.checkpoints.names import to_released
from i1_model.checkpoints.released import infer_config, load_released, open_released
from i1_model.denoiser import init_denoiser
from model_goldens import FOLDER, QUICK, Embeddings, Latents

pytestmark = pytest.mark.golden
OUTPUT_ATOL = 2e-5
OUTPUTS = {
    "out_params": "raw",
    "out_model_raw": "raw",
    "out_params_ema": "ema",
    "out_model_ema": "ema",
    "out_float32": "ema",
}
"""Recorded outputs, and which weights of the checkpoint computed them."""
SIDECARS = sorted(path for path in FOLDER.rglob("*_io.json") if path.with_suffix(".npz").exists())
SIDECARS = [path for path in SIDECARS if "file" in json.loads(path.read_text())]
RECORDS = [
    (path, name) for path in SIDECARS for name in np.load(path.with_suffix(".npz")).files if name in OUTPUTS
]


def checkpoint(sidecar: Path) -> Path:
    return sidecar.with_name(json.loads(sidecar.read_text())["file"])


def settings(sidecar: Path) -> dict[str, Any]:
    """The sizes that a sidecar states, or that of another checkpoint beside it."""
    for path in (sidecar, *sorted(sidecar.parent.glob("*_io.json"))):
        data = json.loads(path.read_text())
        if found := data.get("config") or data.get("config_in_file"):
            return found
    raise AssertionError(f"no sidecar in {sidecar.parent} states the sizes")


@cache
def config(sidecar: Path):
    sizes = settings(sidecar)
    with open_released(checkpoint(sidecar)) as arrays:
        return infer_config(
            arrays,
            text_encoders=(Embeddings(num_tokens=sizes["text_num_tokens"], width=sizes["text_embed_dim"]),),
            autoencoder=Latents(
                channels=sizes["in_channels"], factor=sizes["image_resolution"] // sizes["input_size"]
            ),
        )


@cache
def denoise(model):
    graphdef, _ = nnx.split(jax.eval_shape(lambda: init_denoiser(model, jax.random.key(0))))
    return jax.jit(lambda params, *args: nnx.merge(graphdef, params)(*args), compiler_options=QUICK)


def test_checkpoints_are_found():
    assert RECORDS


@pytest.mark.parametrize("sidecar", SIDECARS, ids=lambda path: path.stem)
def test_the_sizes_are_those_of_the_sidecar(sidecar: Path):
    model, sizes = config(sidecar), settings(sidecar)
    assert model.backbone.hidden_width == sizes["hidden_size"]
    assert model.backbone.num_heads == sizes["num_heads"]
    assert model.backbone.depth == sizes["depth"]
    assert model.backbone.patch_size == sizes["patch_size"]
    assert model.resolution == sizes["image_resolution"]


@pytest.mark.parametrize(("sidecar", "name"), RECORDS, ids=lambda value: getattr(value, "stem", value))
def test_recorded_outputs(sidecar: Path, name: str):
    record, model = np.load(sidecar.with_suffix(".npz")), config(sidecar)
    params = load_released(checkpoint(sidecar), model, weights=OUTPUTS[name])  # pyright: ignore[reportArgumentType]
    inputs = [jnp.asarray(record["x"].transpose(0, 2, 3, 1)), jnp.asarray(record["t"])]
    text = [[jnp.asarray(record["caption"])], [jnp.asarray(record["mask"].astype(bool))]]
    found = denoise(model)(params, *inputs, *text).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, record[name], rtol=0, atol=OUTPUT_ATOL)


@pytest.mark.parametrize("sidecar", SIDECARS, ids=lambda path: path.stem)
def test_positions_are_those_of_the_file(sidecar: Path):
    with open_released(checkpoint(sidecar)) as arrays:
        table = np.asarray(arrays["pos_embed"])
    params = to_released(jax.device_get(load_released(checkpoint(sidecar), config(sidecar))))
    np.testing.assert_allclose(params["pos_embed"], table, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sidecar", SIDECARS, ids=lambda path: path.stem)
def test_the_moments_are_in_the_recorded_dtype(sidecar: Path):
    training = json.loads(sidecar.read_text()).get("training_settings", {})
    dtype = training.get("optax", {}).get("mu_dtype")
    if dtype is None:
        pytest.skip("the record has no optimizer whose dtype is stated")
    with Archive(checkpoint(sidecar)) as archive:
        moments = npz_arrays(archive, "opt/1/0/1/")
        assert moments
        assert {array.dtype for array in moments.values()} == {np.dtype(jnp.dtype(dtype))}
        largest = max(np.abs(np.asarray(array).astype(np.float32)).max() for array in moments.values())
        assert 0 < largest < 10


def test_both_forms_hold_the_same_weights():
    torch = [path for path in SIDECARS if "params_ema" in json.loads(path.read_text()).get("weights", "")]
    if not torch:
        pytest.skip("no record says that a file holds the weights of another one")
    for sidecar in torch:
        (other,) = (p for p in sidecar.parent.glob("checkpoint.npz-*"))
        model = config(sidecar)
        first, second = (
            to_released(jax.device_get(load_released(path, model))) for path in (other, checkpoint(sidecar))
        )
        jax.tree.map(np.testing.assert_array_equal, first, second)
