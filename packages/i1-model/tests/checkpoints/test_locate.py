"""Where a model is, by everything that people give for one."""

import shutil
import types
from pathlib import Path

import pytest
from i1_hooks import Component, Registry, UserError, hookimpl
from i1_model.checkpoints.folder import CONFIG_FILE, LORA_FILE, WEIGHTS_FILE
from i1_model.checkpoints.locate import find_model, locate_model
from i1_model.checkpoints.workdir import checkpoint_steps, newest_checkpoint


def write_files(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    for step in (9, 10, 100):
        write_files(tmp_path / "run" / "checkpoints" / str(step) / "model", CONFIG_FILE, WEIGHTS_FILE)
    return tmp_path / "run"


def test_a_folder_a_checkpoint_and_a_workdir(workdir: Path):
    model = workdir / "checkpoints" / "100" / "model"
    assert find_model(model) == model
    assert find_model(str(workdir)) == model
    assert find_model(workdir / "checkpoints" / "9") == workdir / "checkpoints" / "9" / "model"
    assert locate_model(workdir) == (model, None)


def test_an_unfinished_checkpoint_is_passed_over(workdir: Path):
    (workdir / "checkpoints" / "100" / "model" / CONFIG_FILE).unlink()
    assert find_model(workdir).parent.name == "10"


def test_the_checkpoints_of_a_workdir(workdir: Path, tmp_path: Path):
    for name in ("5.damaged", ".saving-7", "²", "011"):
        (workdir / "checkpoints" / name).mkdir()
    (workdir / "checkpoints" / "200").write_text("a file")
    assert checkpoint_steps(workdir) == [9, 10, 100]
    assert newest_checkpoint(workdir) == workdir / "checkpoints" / "100"
    assert newest_checkpoint(workdir, lambda folder: folder.name == "9") == workdir / "checkpoints" / "9"
    assert newest_checkpoint(workdir, lambda folder: False) is None
    assert (checkpoint_steps(tmp_path), newest_checkpoint(tmp_path)) == ([], None)


@pytest.mark.parametrize(
    "names",
    [
        (CONFIG_FILE, LORA_FILE),
        (CONFIG_FILE, "model.safetensors.index.json"),
        ("model_index.json", "transformer/config.json"),
        (CONFIG_FILE, "diffusion_pytorch_model.safetensors"),
        ("512_resolution_checkpoint_torch.pt",),
        ("checkpoint.npz-000000010",),
    ],
)
def test_folders_of_every_form(names: tuple[str, ...], tmp_path: Path):
    assert find_model(write_files(tmp_path / "given", *names)) == tmp_path / "given"


@pytest.mark.parametrize("name", ["checkpoint.npz-000000010", "a.pt", "a.npz", "a.safetensors"])
def test_released_files(name: str, tmp_path: Path):
    write_files(tmp_path, name)
    assert find_model(tmp_path / name) == tmp_path / name


def test_a_name(tmp_path: Path):
    plugin = types.ModuleType("plugin")
    plugin.i1_models = hookimpl(lambda: [Component("mine", "test_locate_code:mine", "a model")])  # pyright: ignore[reportAttributeAccessIssue]
    registry = Registry([("plugin", "plugin", "1", lambda: plugin)])
    code = types.ModuleType("test_locate_code")
    code.mine = lambda: tmp_path  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "test_locate_code", code)
        assert find_model("mine", registry) == tmp_path
    with pytest.raises(UserError, match=r"unknown model 'mien'; did you mean 'mine'.*A file or folder works"):
        find_model("mien", registry)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "neither a model folder"),
        (lambda path: (path / "checkpoints").mkdir(), "no complete checkpoint yet"),
    ],
)
def test_a_folder_without_a_model(tmp_path: Path, make, message: str):
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        find_model(tmp_path)


def test_what_is_no_model(tmp_path: Path):
    (tmp_path / "model.bin").write_text("")
    with pytest.raises(UserError, match="is a file of another kind"):
        find_model(tmp_path / "model.bin")
    for absent in (tmp_path / "absent", "absent.pt"):
        with pytest.raises(UserError, match="no such file or folder; give one, or a name"):
            find_model(absent)
    with pytest.raises(UserError, match=r"'v1' does not apply: .* is not a repository"):
        locate_model(tmp_path, revision="v1")


def test_a_folder_goes_before_a_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path / "scenes", CONFIG_FILE, WEIGHTS_FILE)
    assert find_model("scenes") == Path("scenes")
    shutil.rmtree(tmp_path / "scenes")
    assert find_model("scenes") != Path("scenes")
