import shutil
from pathlib import Path

import pytest
from i1_hooks import UserError
from i1_sample.models import find_model


@pytest.fixture
def workdir(model_folder: Path, tmp_path: Path) -> Path:
    for step in (9, 10, 100):
        shutil.copytree(model_folder, tmp_path / "run" / "checkpoints" / str(step) / "model")
    return tmp_path / "run"


def test_a_folder_a_checkpoint_and_a_workdir(model_folder: Path, workdir: Path) -> None:
    assert find_model(model_folder) == model_folder
    assert find_model(str(workdir)) == workdir / "checkpoints" / "100" / "model"
    assert find_model(workdir / "checkpoints" / "9") == workdir / "checkpoints" / "9" / "model"


def test_an_unfinished_checkpoint_is_passed_over(workdir: Path) -> None:
    (workdir / "checkpoints" / "100" / "model" / "config.json").unlink()
    assert find_model(workdir).parent.name == "10"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "neither a model folder"),
        (lambda path: (path / "checkpoints").mkdir(), "no complete checkpoint yet"),
    ],
)
def test_a_folder_without_a_model(tmp_path: Path, make, message: str) -> None:
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        find_model(tmp_path)


def test_a_file_and_absent_names(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("")
    with pytest.raises(UserError, match="is a file"):
        find_model(tmp_path / "model.bin")
    with pytest.raises(UserError, match="no such folder"):
        find_model(tmp_path / "absent")
    with pytest.raises(UserError, match=r"unknown model 'scnes'.*A folder works too"):
        find_model("scnes")
