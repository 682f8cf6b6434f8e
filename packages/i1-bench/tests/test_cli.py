import json
import sys

import numpy as np
import pytest
from i1_bench.cli import main
from i1_bench.scenes.benchmark import ScenesConfig
from i1_bench.scenes.drawing import draw_right
from i1_hooks import UserError
from i1_hooks.testing import check_plugin
from PIL import Image


def test_plugin():
    import i1_bench.plugin

    check_plugin(i1_bench.plugin)


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for request in ScenesConfig().build().requests(1, 4):
        path = tmp_path / "pictures" / request.path
        path.parent.mkdir(parents=True)
        Image.fromarray(draw_right(request.prompt.spec, rng)).save(path)
    return tmp_path / "pictures"


def test_existing_pictures_are_scored(tmp_path, pictures, capsys):
    arguments = ["scenes", "--images-per-category", "1", "--seed", "4", "--images", str(pictures)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert (scores["seen"]["score"], scores["unseen"]["score"], scores["words"]["score"]) == (1.0, 1.0, 1.0)
    printed = capsys.readouterr().out
    assert "color_attr       1.000   1.000" in printed
    assert "scores.json" in printed


def test_prompts_are_written_for_other_systems(tmp_path, pictures):
    file = tmp_path / "prompts.jsonl"
    assert main(["scenes", "--images-per-category", "1", "--seed", "4", "--write-prompts", str(file)]) == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert all((pictures / line["image"]).exists() and line["prompt"] for line in lines)
    assert len(lines) == 14


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scene", "--output", "x"], "unknown .*'scene'; did you mean 'scenes'"),
        (["scenes"], "no --output"),
        (["scenes", "--output", "x", "--images-per-category", "0"], "images-per-category 0"),
        (["scenes", "--output", "x", "--images-per-category", "many"], "invalid int value: 'many'"),
        (["scenes", "--output", "x", "--seed", "-1"], "--seed -1"),
        (["scenes", "--output", "x", "--batch-size", "0"], "batch_size must be an integer of at least 1"),
        (["scenes", "--output", "x", "--images", "absent"], "absent: no such folder"),
        (
            ["scenes", "--output", "x", "--images", ".", "--steps", "3"],
            "--steps does not apply to existing pictures",
        ),
        (["scenes", "--output", "x", "--set", "judge=nobody"], "nobody"),
        (["scenes", "--output", "x", "--set", "judg=scene_pixels"], "judg"),
        (
            ["scenes", "--output", "x", "--stepps", "3"],
            "unknown option of `i1 bench` '--stepps'; did you mean '--steps'",
        ),
    ],
)
def test_mistakes_on_the_command_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        main(arguments)
    assert list(tmp_path.iterdir()) == []


def test_without_i1_sample_the_way_to_get_it_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "i1_sample"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "i1_sample", None)
    with pytest.raises(UserError, match=r"pip install i1-bench\[sample\]"):
        main(["scenes", "--output", str(tmp_path / "out"), "--images-per-category", "1"])
