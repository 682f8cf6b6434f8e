"""Every form into every other, bit for bit; and destinations that cannot be written."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_model.adapters import MLPAdapter, TransformerAdapter
from i1_model.arrays.archive import Archive
from i1_model.arrays.torch_zip import read_torch_zip
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream, SingleStream
from i1_model.checkpoints.folder import load_model, save_model
from i1_model.checkpoints.names import from_released, to_released
from i1_model.checkpoints.stored import open_stored
from i1_model.config import ModelConfig
from i1_model.conversion import destination
from i1_model.conversion.convert import convert
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.lora.factors import Factors, merge
from i1_model.lora.folder import save_adapter
from i1_model.text_encoders.hash import HashEncoder
from model_goldens import PACKAGED

NPZ = PACKAGED / "checkpoints" / "checkpoint.npz-000000010"
PT = PACKAGED / "checkpoints" / "256_resolution_checkpoint_torch.pt"
CONFIG = ModelConfig(
    backbone=DualStream(hidden_width=24, num_heads=2, depth=3),
    adapter=TransformerAdapter(num_blocks=1, num_heads=2),
    text_encoders=(HashEncoder(num_tokens=4, width=16),),
    autoencoder=PatchAutoencoder(factor=2),
    flow=RectifiedFlow(),
    resolution=8,
)
METADATA = {"step": 3, "recipe": "tiny", "sampling": {"shift": 0.5}}


def write_model(folder: Path, config=CONFIG, dtype="float32") -> Path:
    _, shapes = jax.eval_shape(lambda: nnx.split(init_denoiser(config, jax.random.key(0))))
    random = np.random.default_rng(0)
    arrays = {n: random.normal(size=a.shape).astype(np.float32) for n, a in to_released(shapes).items()}
    return save_model(folder, config, from_released(config, arrays), dtype=dtype, metadata=METADATA)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model", dtype="bfloat16")


def contents(path: Path):
    """The configuration, the metadata and the bytes of every array."""
    with open_stored(path) as stored:
        arrays = {name: np.asarray(array) for name, array in sorted(stored.arrays.items())}
        assert all(array.dtype == stored.arrays[name].stored for name, array in arrays.items())
        return stored.config, stored.metadata, {n: (a.dtype, a.shape, a.tobytes()) for n, a in arrays.items()}


@pytest.mark.parametrize("source", ["npz", "pt", "model"])
def test_round_trips_are_bit_exact(source: str, model: Path, tmp_path: Path):
    first = {"npz": NPZ, "pt": PT, "model": model}[source]
    config, _, arrays = contents(first)
    hub = convert(first, tmp_path / "hub", "diffusers", shard_bytes=20_000)
    torch = convert(hub, tmp_path / "model.pt", "torch")
    ours = convert(torch, tmp_path / "ours", "i1")
    again = convert(ours, tmp_path / "again.pt", "torch")
    for path in (hub, torch, ours, again):
        found = contents(path)
        assert found[0] == config
        assert found[2] == arrays
    assert again.read_bytes() == torch.read_bytes()
    assert len(list((hub / "transformer").glob("*.safetensors"))) > 2
    if source == "model":
        assert load_model(ours).metadata == load_model(model).metadata
        assert contents(ours)[1]["step"] == 3
        jax.tree.map(np.testing.assert_array_equal, load_model(ours).params, load_model(model).params)


def test_a_workdir_and_a_checkpoint_are_taken(model: Path, tmp_path: Path):
    for step in ("9", "10"):
        shutil.copytree(model, tmp_path / "run" / "checkpoints" / step / "model")
    record = tmp_path / "run" / "checkpoints" / "10" / "model" / "config.json"
    record.write_text(record.read_text().replace('"step": 3', '"step": 10'))
    assert contents(convert(tmp_path / "run", tmp_path / "a", "i1"))[1]["step"] == 10
    assert contents(convert(tmp_path / "run" / "checkpoints" / "9", tmp_path / "b", "i1"))[1]["step"] == 3
    assert contents(tmp_path / "a")[2] == contents(model)[2]


def test_another_resolution(model: Path, tmp_path: Path):
    assert contents(convert(model, tmp_path / "larger", "i1", resolution=16))[0].resolution == 16
    assert load_model(tmp_path / "larger").config.resolution == 16
    with pytest.raises(UserError, match="resolution 15: use a positive multiple of 4"):
        convert(model, tmp_path / "other", "i1", resolution=15)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_lora_is_added_to_its_base(dtype: str, tmp_path: Path):
    base = write_model(tmp_path / "base", dtype=dtype)
    random, name = np.random.default_rng(1), "in_blocks.0.attn.qkv_image"
    a, b = (random.normal(size=size).astype(np.float32) for size in ((24, 2), (2, 72)))
    adapter = {name: Factors(a, b, 3.0)}
    run = tmp_path / "run" / "checkpoints" / "5" / "model"
    save_adapter(run, CONFIG, adapter, base=str(base), metadata={"step": 5})
    loaded = load_model(base, dtype=dtype)
    params = to_released(merge(CONFIG, loaded.params, [(adapter, 1.0)]))
    _, metadata, _ = contents(convert(tmp_path / "run", tmp_path / "whole", "i1"))
    assert (metadata["step"], "adapter" in metadata) == (5, False)
    whole = to_released(load_model(tmp_path / "whole", dtype=dtype).params)
    jax.tree.map(np.testing.assert_array_equal, whole, params)
    assert not np.array_equal(
        whole["blocks_0/attn/qkv_image/kernel"], to_released(loaded.params)["blocks_0/attn/qkv_image/kernel"]
    )
    base.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"holds a LoRA for .*base', which is not here"):
        convert(tmp_path / "run", tmp_path / "again", "i1")


def test_the_torch_form_is_the_released_one(tmp_path: Path):
    copy = convert(PT, tmp_path / "copy.pt", "torch")
    with Archive(PT) as archive, Archive(copy) as written:
        released, ours = read_torch_zip(archive), read_torch_zip(written)
        assert ours["config"] == released["config"]
        assert ours["model"].keys() == released["model"].keys()
        for name, array in released["model"].items():
            exact = not name.startswith("rope_embedder")
            np.testing.assert_allclose(ours["model"][name], array, rtol=0, atol=0 if exact else 1e-7)


def test_torch_reads_it(model: Path, tmp_path: Path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for source in (NPZ, model):
        path = convert(source, tmp_path / f"{source.name}.pt", "torch")
        _, _, arrays = contents(path)
        saved = torch.load(path, weights_only=True, mmap=True)
        assert saved["config"]["patch_size"] == 2
        kernel = saved["model"]["in_blocks.0.attn.qkv_image.weight"]
        assert kernel.is_contiguous()
        assert kernel.data_ptr() % 64 == 0
        plain = kernel.float().numpy().T
        dtype, shape, data = arrays["blocks_0/attn/qkv_image/kernel"]
        np.testing.assert_array_equal(plain, np.frombuffer(data, dtype).reshape(shape).astype(np.float32))


def test_the_layout_of_the_hub(model: Path, tmp_path: Path):
    hub = convert(model, tmp_path / "hub", "diffusers")
    files = sorted(str(path.relative_to(hub)) for path in hub.rglob("*") if path.is_file())
    assert files == [
        "README.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
    ]
    fields = json.loads((hub / "transformer" / "config.json").read_text())
    assert (fields["_class_name"], fields["head_dim"]) == ("ZlabI1Transformer2DModel", 12)
    scheduler = json.loads((hub / "scheduler" / "scheduler_config.json").read_text())
    assert (scheduler["shift"], scheduler["invert_sigmas"]) == (2.0, True)
    assert scheduler["flow_direction"]["time"].startswith("t = 0 is noise, t = 1 is data")
    card = (hub / "README.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    assert "pipeline_tag: text-to-image" in card
    sharded = convert(model, tmp_path / "sharded", "diffusers", shard_bytes=20_000) / "transformer"
    index = json.loads((sharded / "diffusion_pytorch_model.safetensors.index.json").read_text())
    shards = sorted(path.name for path in sharded.glob("*.safetensors"))
    assert sorted(set(index["weight_map"].values())) == shards
    assert shards[0] == f"diffusion_pytorch_model-00001-of-{len(shards):05d}.safetensors"
    (sharded / shards[1]).unlink()
    with pytest.raises(UserError, match=f"lacks {shards[1]} that"):
        convert(tmp_path / "sharded", tmp_path / "x", "i1")


def test_the_scheduler_of_diffusers_walks_our_grid(model: Path, tmp_path: Path):
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    folder = convert(model, tmp_path / "hub", "diffusers") / "scheduler"
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_pretrained(folder)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 8, 8))
    t = np.linspace(0, 1, 9)
    np.testing.assert_allclose(scheduler.sigmas.numpy(), 0.5 * t / (1 - 0.5 * t), atol=1e-6)


def test_another_dtype(model: Path, tmp_path: Path):
    wide = contents(convert(model, tmp_path / "wide", "i1", dtype="float32"))[2]
    assert {dtype for dtype, _, _ in wide.values()} == {np.dtype(np.float32)}
    narrow = convert(tmp_path / "wide", tmp_path / "narrow", "i1", dtype="bfloat16")
    assert contents(narrow)[2] == contents(model)[2]


def test_models_without_a_torch_form(tmp_path: Path):
    for name, config in {
        "mlp": replace(CONFIG, adapter=MLPAdapter()),
        "single": replace(CONFIG, backbone=SingleStream(hidden_width=24, num_heads=2, depth=3)),
    }.items():
        source = write_model(tmp_path / name, config)
        with pytest.raises(UserError, match=r"only i1's own architecture.* \d+ arrays have none"):
            convert(source, tmp_path / "new.pt", "torch")
        assert contents(convert(source, tmp_path / f"{name}-copy", "i1")) == contents(source)
    assert not (tmp_path / "new.pt").exists()


def test_bad_destinations(model: Path, tmp_path: Path, monkeypatch):
    with pytest.raises(UserError, match="exists already: choose another"):
        convert(model, model, "i1")
    with pytest.raises(UserError, match=r"new: .*ends in \.pt"):
        convert(model, tmp_path / "new", "torch")
    with pytest.raises(UserError, match="unknown form 'onnx'"):
        convert(model, tmp_path / "new", "onnx")  # pyright: ignore[reportArgumentType]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/new: "):
        convert(model, tmp_path / "file" / "new", "i1")
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda path: SimpleNamespace(free=2_000_000))
    with open_stored(NPZ) as stored:
        size = sum(array.nbytes for array in stored.arrays.values())
    assert size < 900_000
    convert(NPZ, tmp_path / "fits", "i1")
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(UserError, match=r"no room for .*: it takes 0\.00 GB, 0\.00 GB are free"):
        convert(NPZ, tmp_path / "new", "i1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "fits"]


@pytest.mark.parametrize(("form", "name"), [("i1", "new"), ("diffusers", "new"), ("torch", "new.pt")])
def test_nothing_stays_of_a_conversion_that_fails_on_the_way(form: str, name: str, tmp_path: Path):
    data = bytearray(PT.read_bytes())
    with Archive(PT) as archive:
        last = max((i for i in archive._zip.infolist() if "/data/" in i.filename), key=lambda i: i.file_size)
    data[last.header_offset + 200] ^= 0xFF
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(data)
    with pytest.raises(UserError, match="truncated, corrupted or not a checkpoint"):
        convert(damaged, tmp_path / name, form)  # pyright: ignore[reportArgumentType]
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.pt"]


def test_a_write_that_fails_is_one_line_and_leaves_nothing(tmp_path: Path):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "from i1_hooks.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "convert", str(NPZ), str(tmp_path / "new"), "--to", "diffusers"],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"cannot write {tmp_path / 'new'}: File too large" in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_command(model: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["convert", str(model), str(tmp_path / "out.pt"), "--to", "torch"]) == 0
    out, err = capsys.readouterr()
    assert out == f"wrote {tmp_path / 'out.pt'}\n"
    assert err.endswith("0.0 of 0.0 GB\n")
    assert main(["convert", str(tmp_path / "absent"), str(tmp_path / "x"), "--to", "i1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["convert", str(model), str(tmp_path / "x"), "--to", "onnx"]) == 2
    assert "invalid choice: 'onnx'" in capsys.readouterr().err
