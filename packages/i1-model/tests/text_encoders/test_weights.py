"""Reading weights: formats, dtypes, and every way in which a folder can be wrong."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoder_folders import write_weights
from i1_hooks import UserError
from i1_model.arrays import reading
from i1_model.text_encoders.weights import Stored, find_tensors, load_weights

LAYOUT = {
    "embed": Stored("embed.weight", (5, 4)),
    "layers": {"q": Stored("layers.{}.q.weight", (3, 4), 2)},
}


def arrays(prefix="", dtype=np.float32):
    rng = np.random.default_rng(0)
    shapes = {"embed.weight": (5, 4), "layers.0.q.weight": (3, 4), "layers.1.q.weight": (3, 4)}
    return {prefix + name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("prefix", ["", "model.encoder."])
def test_layers_are_stacked(tmp_path, shards, prefix):
    stored = arrays(prefix)
    write_weights(tmp_path, {**stored, "decoder.x": np.zeros(2, np.float32)}, shards)
    params = load_weights(
        tmp_path, LAYOUT, "float32", prefixes=("model.encoder.", ""), ignored=r"decoder\..*"
    )
    np.testing.assert_array_equal(params["embed"], stored[prefix + "embed.weight"])
    layers = [stored[f"{prefix}layers.{i}.q.weight"] for i in range(2)]
    np.testing.assert_array_equal(params["layers"]["q"], np.stack(layers))


@pytest.mark.parametrize("stored_dtype", [np.float32, np.float16, jnp.bfloat16])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dtypes_converted_in_pieces(tmp_path, monkeypatch, stored_dtype, dtype):
    monkeypatch.setattr(reading, "PIECE", 7)
    stored = arrays(dtype=stored_dtype)
    write_weights(tmp_path, stored)
    params = load_weights(tmp_path, LAYOUT, dtype)
    assert params["embed"].dtype == dtype
    np.testing.assert_array_equal(params["embed"], stored["embed.weight"].astype(dtype))


def test_all_problems_at_once(tmp_path):
    stored = arrays()
    stored["stranger"] = stored.pop("layers.1.q.weight")
    stored["layers.0.q.weight"] = np.zeros((4, 3), np.float32)
    write_weights(tmp_path, stored)
    with pytest.raises(UserError) as error:
        load_weights(tmp_path, LAYOUT, "float32")
    message = str(error.value)
    assert "missing layers.1.q.weight, unknown stranger, layers.0.q.weight has shape (4, 3)" in message
    assert "instead of (3, 4)" in message


def test_the_alternative_name(tmp_path):
    layout = {"embed": Stored("shared", (5, 4), alternative="tied")}
    array = arrays()["embed.weight"]
    for stored in ({"tied": array}, {"shared": array}, {"shared": array, "tied": array}):
        write_weights(tmp_path, stored)
        np.testing.assert_array_equal(load_weights(tmp_path, layout, "float32")["embed"], array)


def test_truncated_anywhere(tmp_path):
    write_weights(tmp_path, arrays())
    file = tmp_path / "model.safetensors"
    data = file.read_bytes()
    for size in (0, 4, 9, 60, len(data) - 40, len(data) - 1):
        file.write_bytes(data[:size])
        with pytest.raises(UserError, match=r"model\.safetensors is truncated or"):
            find_tensors(tmp_path)
    file.write_bytes(data + b"more")
    with pytest.raises(UserError, match=f"has {len(data) + 4} bytes instead of {len(data)}"):
        find_tensors(tmp_path)


def test_foreign_files(tmp_path):
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        find_tensors(tmp_path)
    file = tmp_path / "model.safetensors"
    for header in ([1], {"x": 3}, {"x": {"dtype": "F32", "shape": [9], "data_offsets": [0, 8]}}):
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 8)
        with pytest.raises(UserError, match="is truncated or"):
            find_tensors(tmp_path)


def test_integers_are_refused_where_weights_belong_and_ignored_elsewhere(tmp_path):
    write_weights(tmp_path, {**arrays(), "position_ids": np.zeros(2, np.int64)})
    assert set(load_weights(tmp_path, LAYOUT, "float32", ignored="position_ids")) == set(LAYOUT)
    write_weights(tmp_path, {**arrays(), "embed.weight": np.zeros((5, 4), np.int32)})
    with pytest.raises(UserError, match=r"embed\.weight is stored as int32, not as floating-point"):
        load_weights(tmp_path, LAYOUT, "float32")


def test_a_missing_shard(tmp_path):
    write_weights(tmp_path, arrays(), shards=3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match=re.escape("lacks model-00002-of-00003.safetensors that")):
        find_tensors(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="no weight_map"):
        find_tensors(tmp_path)


def test_the_loaded_array_owns_its_memory(tmp_path):
    write_weights(tmp_path, arrays())
    params = load_weights(tmp_path, LAYOUT, "float32")
    before = jax.tree.map(np.array, params)
    (tmp_path / "model.safetensors").write_bytes(b"")
    jax.tree.map(np.testing.assert_array_equal, params, before)
