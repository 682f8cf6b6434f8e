"""`i1 convert` with whatever is not a model: one line, status 2, and nothing written."""

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from i1_hooks.cli import main
from i1_model.conversion import destination
from i1_model.conversion.convert import convert
from model_goldens import PACKAGED

NPZ = PACKAGED / "checkpoints" / "checkpoint.npz-000000010"
PT = PACKAGED / "checkpoints" / "256_resolution_checkpoint_torch.pt"
SHARD = "transformer/diffusion_pytorch_model-00002-of-*.safetensors"


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    return convert(NPZ, tmp_path_factory.mktemp("hub") / "model", "diffusers", shard_bytes=20_000)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 9)


def empty(path: Path) -> None:
    path.write_bytes(b"")


class Harmful:
    def __reduce__(self):
        return (print, ("this ran",))


def pickled_code(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"model": {"a": Harmful()}}, protocol=2))


def another_depth(path: Path) -> None:
    data = json.loads(path.read_text())
    data["i1"]["model"]["backbone"]["depth"] = 7
    path.write_text(json.dumps(data))


FILES: list[tuple[Path, Callable[[Path], None], str]] = [
    (source, damage, "is truncated, corrupted or not a checkpoint")
    for source in (NPZ, PT)
    for damage in (cut, halve, lengthen, empty)
] + [(PT, pickled_code, "holds pickled code (__builtin__.print), which is never loaded")]
FOLDERS: list[tuple[str, Callable[[Path], None], str]] = [
    (SHARD, Path.unlink, "lacks diffusion_pytorch_model-00002-of-"),
    (SHARD, cut, "is truncated or corrupted"),
    (SHARD, lengthen, "bytes instead of"),
    ("transformer/*.index.json", halve, "is not JSON"),
    ("transformer/config.json", halve, "is not JSON"),
    ("transformer/config.json", another_depth, "parameters do not fit the model: "),
]


def refused(source: Path, tmp_path: Path, capsys) -> str:
    """Returns the line that converting prints."""
    before = sorted(tmp_path.rglob("*"))
    assert main(["convert", str(source), str(tmp_path / "new"), "--to", "i1"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    return captured.err


@pytest.mark.parametrize(("source", "damage", "message"), FILES)
def test_files(source: Path, damage, message: str, tmp_path: Path, capsys):
    path = Path(shutil.copyfile(source, tmp_path / source.name))
    damage(path)
    assert message in refused(path, tmp_path, capsys)


@pytest.mark.parametrize(("name", "damage", "message"), FOLDERS)
def test_folders(hub: Path, name: str, damage, message: str, tmp_path: Path, capsys):
    folder = Path(shutil.copytree(hub, tmp_path / "model"))
    (path,) = folder.glob(name)
    damage(path)
    assert message in refused(folder, tmp_path, capsys)


def test_a_full_disk(hub: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert "no room for" in refused(hub, tmp_path, capsys)
