"""The workdir: the same run from everywhere, under any name, and refused when it is another."""

import json
import os
from pathlib import Path

import pytest
import small_runs as runs
from i1_hooks import UserError, to_dict
from i1_train.workdir import PATHS, check_same_run, claim


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the folders `pictures`, `others` and `deep`, which is the working folder."""
    for name in ("pictures", "others", "deep"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def recipe(root, *assignments):
    source = json.dumps([{"component": "image_folder", "root": root}])
    return runs.recipe(f"data.sources={source}", *assignments)


def started(workdir):
    workdir.mkdir()
    claim(workdir, recipe("pictures"))
    return workdir


@pytest.mark.parametrize("root", ["pictures", "pictures/", "./pictures", "deep/../pictures", "~/pictures"])
def test_a_path_in_another_spelling_is_the_same_run(place, root):
    check_same_run(started(place / "run"), recipe(root))


def test_a_run_is_the_same_from_another_working_folder(place, monkeypatch):
    workdir = started(place / "run")
    monkeypatch.chdir(place / "deep")
    check_same_run(workdir, recipe("../pictures"))
    check_same_run(workdir, recipe(str(place / "pictures")))
    claim(workdir, recipe("../pictures"))
    monkeypatch.chdir(place)
    check_same_run(workdir, recipe("pictures"))


def test_a_link_to_the_folder_is_the_same_run(place):
    (place / "link").symlink_to(place / "pictures")
    check_same_run(started(place / "run"), recipe("link"))


@pytest.mark.parametrize("root", ["others", "absent", "~/others"])
def test_another_folder_is_another_run(place, root):
    workdir = started(place / "run")
    with pytest.raises(UserError, match=rf'data.sources.0.root: "pictures" -> "{root}"; use another workdir'):
        check_same_run(workdir, recipe(root))


def test_a_project_that_moved_as_a_whole_is_the_same_run(place, monkeypatch):
    started(place / "run")
    moved = place / "moved"
    moved.mkdir()
    for name in ("run", "pictures"):
        (place / name).rename(moved / name)
    monkeypatch.chdir(moved)
    check_same_run(moved / "run", recipe("pictures"))


def test_a_run_of_an_earlier_version_has_no_record_of_its_paths(place):
    workdir = started(place / "run")
    (workdir / PATHS).unlink()
    check_same_run(workdir, recipe("pictures"))
    with pytest.raises(UserError, match="holds another run"):
        check_same_run(workdir, recipe("others"))


def test_a_field_that_is_not_a_path_is_compared_as_text(place):
    workdir = started(place / "run")
    with pytest.raises(UserError, match="seed: 0 -> 1"):
        check_same_run(workdir, recipe("pictures", "seed=1"))


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_damaged_recipe_says_where_a_copy_is(place, content):
    workdir = started(place / "run")
    (workdir / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"config\.json.*; copy it back from a checkpoint's config\.json"):
        check_same_run(workdir, recipe("pictures"))


def test_the_recipe_is_stored_as_it_was_given(place):
    workdir = started(place / "run")
    assert json.loads((workdir / "config.json").read_text()) == to_dict(recipe("pictures"))


@pytest.fixture
def quick_step(monkeypatch):
    def make(config, parts, placement):
        def step(state, constants, batch):
            metrics = {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 1e-3}
            return {**state, "step": state["step"] + 1}, metrics

        return step

    monkeypatch.setattr("i1_train.opening.make_step", make)


def test_a_home_folder_is_expanded(place, quick_step):
    assert runs.run("~/deep/run", "steps=1") == 1
    assert (place / "deep" / "run" / "checkpoints" / "1" / "model").is_dir()
    assert not (place / "~").exists()


def test_a_workdir_whose_name_is_not_utf8_can_be_trained_and_resumed(place, quick_step, capsys):
    workdir = place / os.fsdecode(b"caf\xe9")
    assert runs.run(workdir, "steps=1", 'loggers=["jsonl","tensorboard"]') == 1
    assert runs.run(workdir, "steps=2", "checkpoints.every=1") == 2
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["1", "2"]
    assert [row["step"] for row in runs.metrics(workdir)] == [1, 2]
    assert "resuming after step 1 in" in capsys.readouterr().out
    assert Path(os.fsdecode(os.fsencode(workdir))).is_dir()
