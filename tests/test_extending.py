"""docs/extending.md, done as a new user would: its files in an empty folder, its commands run there."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from i1_hooks import cli

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with every file that the page says to save, and their names, before any command runs there."""
    folder = tmp_path_factory.mktemp("new-user")
    before = 0
    for block in re.finditer(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL):
        if block[1] in ("python", "toml"):
            name = re.findall(r"`([\w./-]+\.(?:py|toml))`", PAGE[before : block.start()])[-1]
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block[2])
        before = block.end()
    package = folder / "i1-plugin-mine" / "src" / "i1_plugin_mine"
    (package / "__init__.py").write_text("")
    adapter = (folder / "my_adapter.py").read_text()
    (package / "adapter.py").write_text(adapter.partition("\n\n@hookimpl")[0])
    return folder, sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def folder(saved):
    return saved[0]


def commands(section):
    found = [
        shlex.split(line)
        for block in re.findall(r"```sh\n(.*?)```", SECTIONS[section], re.DOTALL)
        for line in block.splitlines()
    ]
    assert found
    return found


SHORT = ["preview_prompts=[]", "model.backbone.depth=1", "model.backbone.long_skip=false"]
"""What the tests set besides, so that there is less to compile."""


def shortened(command):
    extra = [word for assignment in SHORT for word in ("--set", assignment)]
    return [*command, *extra] if command[:2] == ["i1", "train"] else command


def run(command):
    program, *arguments = shortened(command)
    if program == "pytest":
        tests = [sys.executable, "-m", "pytest", "-q", *arguments]
        done = subprocess.run(tests, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return
    assert program == "i1"
    assert cli.main(arguments) == 0, command
    if "--output" in arguments:
        assert Path(arguments[arguments.index("--output") + 1]).stat().st_size > 0
    if "--workdir" in arguments:
        metrics = Path(arguments[arguments.index("--workdir") + 1], "metrics.jsonl")
        assert len(metrics.read_text().splitlines()) == 2


def test_the_page_writes_the_files_it_speaks_of(saved):
    package = [
        f"i1-plugin-mine/src/i1_plugin_mine/{name}.py"
        for name in ("__init__", "adapter", "plugin", "recipes")
    ]
    files = [f"my_{name}.py" for name in ("adapter", "encoder", "flow", "solver", "source")]
    assert saved[1] == sorted([*files, "test_my_solver.py", "i1-plugin-mine/pyproject.toml", *package])


@pytest.fixture(scope="module")
def adapter_run(folder):
    """The first section, done; a later one samples its model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands("An adapter"):
            run(command)
    return folder


def test_the_adapter_is_in_its_run(adapter_run):
    config = json.loads((adapter_run / "runs" / "adapter" / "config.json").read_text())
    assert config["model"]["adapter"] == {"component": "pooled"}
    assert (adapter_run / "adapter.png").is_file()


@pytest.mark.parametrize("section", ["A text encoder", "A time law", "A solver", "A data source"])
def test_a_section(section, adapter_run, monkeypatch):
    monkeypatch.chdir(adapter_run)
    for command in commands(section):
        run(command)


def test_without_the_file_the_missing_plugin_is_named(adapter_run, monkeypatch, capfd):
    monkeypatch.chdir(adapter_run)
    assert cli.main(["sample", "a red circle", "--model", "runs/adapter", "--output", "absent.png"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "pooled" in error
    assert "my_adapter.py" in error


def test_a_wrong_value_ends_in_one_line(folder, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    arguments = [
        "--set",
        "model.flow=mixed_times",
        "--set",
        "model.flow.uniform_share=2",
        "--plugin",
        "my_flow.py",
    ]
    assert cli.main(["train", "scenes-tiny", "--workdir", "runs/wrong", *arguments]) == 2
    error = capfd.readouterr().err
    assert error == "i1: error: model.flow.uniform_share: uniform_share must be from 0 to 1, got 2.0\n"
    assert not Path("runs/wrong").exists()


def test_a_package(folder, tmp_path):
    # what `pip install` leaves behind, without the network that building takes
    project = tomllib.loads((folder / "i1-plugin-mine" / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"i1_plugin_mine-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((name, module),) = project["entry-points"]["i1"].items()
    (info / "entry_points.txt").write_text(f"[i1]\n{name} = {module}\n")
    path = os.pathsep.join([str(tmp_path), str(folder / "i1-plugin-mine" / "src")])
    for command in commands("A package"):
        done = subprocess.run(
            [sys.executable, "-m", "i1_hooks", *shortened(command)[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "I1_STRICT_PLUGINS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (folder / "package.png").is_file()
