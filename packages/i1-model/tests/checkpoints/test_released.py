"""The released checkpoints, and what damaged ones say."""

import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.arrays.archive import Archive
from i1_model.arrays.npz import npz_arrays
from i1_model.checkpoints.names import to_released
from i1_model.checkpoints.released import infer_config, load_released, open_released
from model_goldens import PACKAGED, Embeddings, Latents

CHECKPOINTS = PACKAGED / "checkpoints"
NPZ = CHECKPOINTS / "checkpoint.npz-000000010"
PT = CHECKPOINTS / "256_resolution_checkpoint_torch.pt"


@cache
def config(resolution=None):
    with open_released(NPZ) as arrays:
        return infer_config(
            arrays,
            text_encoders=(Embeddings(num_tokens=7, width=10),),
            autoencoder=Latents(channels=4, factor=32),
            resolution=resolution,
        )


def released(params):
    return to_released(jax.device_get(params))


def test_inferred_config():
    model = config()
    assert (model.backbone.hidden_width, model.backbone.num_heads, model.backbone.depth) == (12, 2, 5)
    assert (model.adapter.num_blocks, model.resolution, model.flow.shift) == (2, 256, 1.0)
    assert config(1024).flow.shift == 0.3


def test_bfloat16_in_and_out():
    with Archive(NPZ) as archive:
        moments = npz_arrays(archive, "opt/1/0/1/")
        assert all(array.dtype == jnp.bfloat16 for array in moments.values())
        values = np.asarray(moments["final_layer/linear/kernel"]).astype(np.float32)
    assert 0 < np.abs(values).max() < 10
    exact = released(load_released(PT, config()))
    rounded = released(load_released(PT, config(), dtype="bfloat16"))
    assert rounded["pos_embed"].dtype == jnp.float32
    name = "blocks_3/skip_linear_text/kernel"
    np.testing.assert_array_equal(rounded[name], exact[name].astype(jnp.bfloat16))


def test_only_what_is_asked_for_is_read(monkeypatch):
    read = []
    original = Archive.fill

    def counted(self, name, *arguments, **options):
        read.append(name)
        original(self, name, *arguments, **options)

    monkeypatch.setattr(Archive, "fill", counted)
    with open_released(NPZ) as arrays:
        assert arrays["x_embedder/proj/kernel"].shape == (2, 2, 4, 12)
        assert not read
        np.asarray(arrays["x_embedder/proj/kernel"])
    assert read == ["params_ema/x_embedder/proj/kernel.npy"]


@pytest.mark.parametrize("path", [NPZ, PT], ids=["npz", "pt"])
def test_damaged_files(path: Path, tmp_path: Path):
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entry = max(
            (i for i in archive.infolist() if "opt/" not in i.filename and "data.pkl" not in i.filename),
            key=lambda i: i.file_size if "params/" not in i.filename else 0,
        )
    middle = entry.header_offset + entry.file_size // 2 + 100
    flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    for name, content in {"cut": data[: len(data) // 2], "flipped": flipped, "empty": b""}.items():
        damaged = tmp_path / name
        damaged.write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is truncated, corrupted or not a checkpoint") as caught:
            load_released(damaged, config())
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"cannot read .*absent"):
        load_released(tmp_path / "absent", config())


def save_pickle(path: Path, value: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, protocol=2))
    return path


class Harmful:
    def __reduce__(self):
        return (exec, ("raise AssertionError('ran')",))


def test_pickled_code_is_refused(tmp_path: Path):
    path = save_pickle(tmp_path / "code.pt", {"model": OrderedDict(a=Harmful())})
    with pytest.raises(UserError, match=r"code\.pt holds pickled code \(.*exec\), which is never loaded"):
        load_released(path, config())
    objects = tmp_path / "objects.npz"
    np.savez(objects, **{"params_ema/a": np.array([{}], object)})
    with pytest.raises(UserError, match="holds pickled objects"):
        load_released(objects, config())


def test_files_that_hold_something_else(tmp_path: Path):
    with pytest.raises(UserError, match="no tensors under 'model'"):
        load_released(save_pickle(tmp_path / "other.pt", {"weights": {}}), config())
    with pytest.raises(UserError, match="no tensors under 'train_state/model_raw'"):
        load_released(PT, config(), weights="raw")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UserError, match=r"no entries params_ema/\*"):
        load_released(tmp_path / "other.npz", config())
    with pytest.raises(UserError, match="weights 'best': choose ema or raw"):
        load_released(PT, config(), weights="best")


def test_all_names_that_do_not_fit_are_reported_together():
    deeper = replace(config(), backbone=replace(config().backbone, depth=7))
    with pytest.raises(
        UserError, match=r"checkpoint_torch\.pt: .*52 missing: .*blocks_6/.*4 unknown: .*skip_linear"
    ) as e:
        load_released(PT, replace(deeper, text_encoders=(Embeddings(num_tokens=7, width=11),)))
    assert "learnable_null_caption is (1, 7, 10), expected (1, 7, 11)" in str(e.value)


def test_unmatched_torch_names_are_reported(tmp_path: Path):
    with open_released(PT) as arrays, io.BytesIO() as buffer:
        np.savez(
            buffer,
            **{f"params_ema/{name}": array for name, array in arrays.items()},
            **{"params_ema/extra": 1},
        )
        (tmp_path / "extra.npz").write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match="1 unknown: extra"):
        load_released(tmp_path / "extra.npz", config())
