"""Many pictures into one folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_sample import Pipeline, SampleOptions
from i1_sample.bulk import Shard, parse_shard, run_bulk
from i1_sample.prompts import read_prompts
from PIL import Image

PROMPTS = ["a star", "two rings", "a cross"]
OPTIONS = SampleOptions(num_images_per_prompt=2, seed=5, batch_size=4)


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: Image.open(path).tobytes() for path in sorted(folder.glob("*.png"))}


@pytest.fixture(scope="module")
def whole(pipeline: Pipeline, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    assert len(run_bulk(pipeline, PROMPTS, OPTIONS, folder)) == 6
    return read(folder)


def close(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    assert found.keys() == expected.keys()
    pairs = [(np.frombuffer(found[n], np.uint8), np.frombuffer(expected[n], np.uint8)) for n in found]
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs) <= 1


def test_pictures_are_those_of_the_pipeline(pipeline: Pipeline, whole, tmp_path: Path) -> None:
    images = pipeline(PROMPTS, num_images_per_prompt=2, seed=5, batch_size=4).images
    assert close(whole, {f"{k:05d}.png": image.tobytes() for k, image in enumerate(images)})


def test_a_folder_is_completed_with_the_same_pictures(pipeline: Pipeline, whole, tmp_path: Path) -> None:
    run_bulk(pipeline, PROMPTS, OPTIONS, tmp_path)
    for name in ("00001.png", "00004.png"):
        (tmp_path / name).unlink()
    made = run_bulk(pipeline, PROMPTS, OPTIONS, tmp_path)
    assert [path.name for path in made] == ["00001.png", "00004.png"]
    assert close(read(tmp_path), whole)
    assert run_bulk(pipeline, PROMPTS, OPTIONS, tmp_path) == []


def test_shards_together_are_the_whole(pipeline: Pipeline, whole, tmp_path: Path) -> None:
    made = [run_bulk(pipeline, PROMPTS, OPTIONS, tmp_path, Shard(index, 2)) for index in (1, 0)]
    assert [len(paths) for paths in made] == [3, 3]
    assert close(read(tmp_path), whole)


def test_settings_are_never_mixed(pipeline: Pipeline, tmp_path: Path) -> None:
    options = SampleOptions(num_inference_steps=1)
    run_bulk(pipeline, PROMPTS[:1], options, tmp_path)
    seed = json.loads((tmp_path / "manifest.json").read_text())["seed"]
    assert run_bulk(pipeline, PROMPTS[:1], options, tmp_path) == []
    for prompts, other, message in (
        (PROMPTS[:2], options, "num_images: 1 there, 2 asked for"),
        (["a ring"], options, "prompts_sha256"),
        (PROMPTS[:1], SampleOptions(num_inference_steps=2), "settings: "),
        (PROMPTS[:1], SampleOptions(num_inference_steps=1, seed=seed ^ 1), "seed: "),
        (PROMPTS[:1], SampleOptions(num_inference_steps=1, negative_prompt="a"), "negative_prompt: null"),
    ):
        with pytest.raises(UserError, match=f"holds pictures of other settings .*{message}"):
            run_bulk(pipeline, prompts, other, tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"holds pictures but no manifest.json"):
        run_bulk(pipeline, PROMPTS[:1], options, tmp_path)


def test_the_command(model_folder: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text('{"prompt": "a star"}\n\n"a ring"\n')
    command = ["sample", "--prompts-file", "p.jsonl", "--model", str(model_folder), "--steps", "1"]
    assert main([*command, "--output", "out", "--resume", "--shard", "1/2"]) == 0
    assert capsys.readouterr().out == "wrote 1 pictures into out\n"
    assert main([*command, "--output", "out", "--resume"]) == 0
    assert capsys.readouterr().out == "wrote 1 pictures into out\n"
    with Image.open("out/00001.png") as image:
        assert json.loads(image.text["i1"])["prompt"] == "a ring"
    assert main([*command, "--output", "out", "--shard", "0/2"]) == 2
    assert "--resume and --shard go together with --output FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1", "2/2", "a/2", "-1/2", "1/0"])
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="write I/N, with I from 0 to N - 1"):
        parse_shard(text)


def test_files_of_prompts(tmp_path: Path) -> None:
    def prompts(name: str, text: str) -> list[str]:
        (tmp_path / name).write_text(text)
        return read_prompts(tmp_path / name)

    assert prompts("a.csv", 'id,prompt\n1,"a star, red"\n2,a ring\n') == ["a star, red", "a ring"]
    assert prompts("a.jsonl", '{"prompt": "a star", "id": 3}\n') == ["a star"]
    for name, text, message in (
        ("b.csv", "id,text\n1,a\n", "has no column 'prompt'; its columns are id, text"),
        ("c.csv", "id,prompt\n1,\n", "row 1: no prompt"),
        ("d.csv", 'prompt\n"a', "is not CSV"),
        ("b.jsonl", '"a"\n{"text": "a"}\n', "line 2: expected a text, or an object"),
        ("c.jsonl", "a star\n", "line 1 is not JSON"),
        ("d.jsonl", "\n", "holds no prompt"),
    ):
        with pytest.raises(UserError, match=message):
            prompts(name, text)
