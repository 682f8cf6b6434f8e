import json
import subprocess
import sys
from pathlib import Path

import pytest
from i1_hooks.cli import main
from PIL import Image


@pytest.fixture
def sample(
    model_folder: Path, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Runs `i1 sample` with the tiny model in an empty folder; returns status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, model: str | None = None) -> tuple[int, str, str]:
        status = main(["sample", *arguments, "--model", model or str(model_folder)])
        return status, *capsys.readouterr()

    return run


def test_one_picture_with_its_story(sample, tmp_path: Path, model_folder: Path) -> None:
    output = tmp_path / "new" / "picture.png"
    status, out, err = sample(
        *("a red star", "--seed", "5", "--cfg-scale", "3", "--num-steps", "2"),
        *("--output", str(output), "--width", "24", "--height", "8"),
    )
    assert (status, out, err) == (0, f"wrote {output}\n", "")
    with Image.open(output) as image:
        assert image.size == (24, 8)
        record, text = json.loads(image.text["i1"]), image.text["parameters"]
    assert text.startswith(
        "a red star\nSteps: 2, Sampler: euler, Schedule type: shifted, CFG scale: 3, Seed: 5,"
    )
    assert "Size: 24x8" in text
    assert (record["prompt"], record["seed"], record["index"], record["num_inference_steps"]) == (
        "a red star",
        5,
        0,
        2,
    )
    assert record["solver"] == {"component": "euler"}
    assert record["guidance"] == {
        "component": "cfg",
        "rescale": 0.25,
        "interval_start": 0.0,
        "interval_end": 1.0,
    }
    assert record["time_grid"] == {"component": "shifted", "shift": 0.5}
    assert record["model"] == str(model_folder)
    assert record["model_step"] == 7
    assert (record["config"]["resolution"], record["width"], record["height"]) == (16, 24, 8)
    assert (record["revision"], record["revisions"], record["preset"]) == (None, {}, None)
    assert {"python", "jax", "flax", "i1-sample", "i1-model"} <= set(record["versions"])
    assert text.endswith(f"Model: {model_folder}, Version: i1-sample {record['versions']['i1-sample']}")
    assert record["plugins"]["i1-sample"]


def test_the_same_folder_twice_keeps_all_pictures(sample, tmp_path: Path) -> None:
    pictures = tmp_path / "pics"
    assert sample("a star", "--output", "pics")[1] == "wrote pics/00000.png\n"
    first = (pictures / "00000.png").read_bytes()
    assert sample("a star", "--seed", "3", "--output", "pics")[1] == "wrote pics/00001.png\n"
    assert (pictures / "00000.png").read_bytes() == first
    assert sample("a star", "--output", "pics/one.png")[1] == "wrote pics/one.png\n"
    assert sample("a star", "--output", "pics/one.png")[1] == "wrote pics/one-1.png\n"


def test_programs_are_told_as_json(sample) -> None:
    status, out, err = sample("a star", "a ring", "--format", "json", "--output", "pics", "--batch-size", "4")
    assert (status, err) == (0, "")
    first, second = json.loads(out)["images"]
    assert (first["path"], second["path"]) == ("pics/00000.png", "pics/00001.png")
    assert (first["prompt"], second["prompt"], second["index"]) == ("a star", "a ring", 1)
    with Image.open(second["path"]) as image:
        assert json.loads(image.text["i1"])["seed"] == first["seed"] == second["seed"]


def test_without_a_seed_the_drawn_one_is_reported(sample) -> None:
    status, out, err = sample("a star", "--output", "one.png")
    assert (status, out) == (0, "wrote one.png\n")
    with Image.open("one.png") as image:
        assert err == f"seed {json.loads(image.text['i1'])['seed']}\n"


def test_odd_names_keep_their_picture(sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert sample("a star", "--output", "~/pics/")[0] == 0
    assert [p.name for p in (tmp_path / "home" / "pics").iterdir()] == ["00000.png"]
    assert sample("a star", "--output", "run.v2/")[1] == "wrote run.v2/00000.png\n"
    assert sample("a star", "--output", "\N{PILE OF POO}" * 300 + ".png")[0] == 0
    assert sample("\N{PILE OF POO}" * 11)[1] == "wrote picture.png\n"
    status, out, _ = sample("a star", "--output", "caf\udce9.png")
    assert (status, out) == (0, "wrote caf\\udce9.png\n")
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_a_file_of_prompts_is_read_as_people_save_it(sample, tmp_path: Path) -> None:
    def drawn(data: bytes) -> list[str]:
        (tmp_path / "prompts.txt").write_bytes(data)
        status, out, err = sample("--prompts-file", "prompts.txt", "--steps", "1", "--batch-size", "4")
        assert status == 0, err
        prompts = []
        for line in out.splitlines():
            with Image.open(line.removeprefix("wrote ")) as image:
                prompts.append(json.loads(image.text["i1"])["prompt"])
        return prompts

    assert drawn("\ufeffa star\r\na ring\r\n".encode()) == ["a star", "a ring"]
    assert drawn("a star\u2028here".encode("utf-16")) == ["a star\u2028here"]


def test_names_come_from_prompts_and_never_overwrite(sample, tmp_path: Path) -> None:
    assert sample("A red star!")[1] == "wrote a-red-star.png\n"
    first = (tmp_path / "a-red-star.png").read_bytes()
    assert sample("A red star!", "--seed", "9")[1] == "wrote a-red-star-1.png\n"
    assert (tmp_path / "a-red-star.png").read_bytes() == first


def test_several_pictures(sample, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("two circles\n\n a ring \n")
    status, out, _ = sample("a star", "--prompts-file", str(prompts), "--output", "all", "--batch-size", "4")
    assert status == 0
    assert out.split() == [word for i in range(3) for word in ("wrote", f"all/{i:05d}.png")]
    with Image.open("all/00002.png") as image:
        assert json.loads(image.text["i1"])["prompt"] == "a ring"
    assert sample("a star", "--num-images", "2", "--output", "F.png", "--batch-size", "4", "--seed", "0")[
        1
    ] == ("wrote F-0.png\nwrote F-1.png\n")
    assert sample("a star", "--first-index", "1", "--output", "one.png", "--seed", "0")[0] == 0
    with Image.open("F-1.png") as series, Image.open("one.png") as alone:
        assert json.loads(series.text["i1"])["index"] == json.loads(alone.text["i1"])["index"] == 1
        difference = [abs(a - b) for a, b in zip(series.tobytes(), alone.tobytes(), strict=True)]
    assert max(difference) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no prompt"),
        (["a star", "--stepz", "3"], "unknown option of `i1 sample` '--stepz'; did you mean '--steps'"),
        (["a star", "--steps", "many"], "invalid int value: 'many'"),
        (["a star", "--width", "20"], "width 20: use a positive multiple of 8"),
        (["a star", "--resolution", "20"], "resolution 20: use a positive multiple of 8"),
        (["a star", "--vae-tile", "512"], "vae tile '512' does not apply: PatchAutoencoder has no weights"),
        (["a star", "--steps", "0"], "num_inference_steps must be an integer from 1 to 10000, got 0"),
        (["a star", "--cfg", "1e30"], "guidance_scale must be a finite number from -1000 to 1000, got 1e+30"),
        (["a star", "--negative-prompt", "a ring", "--cfg", "1"], "does not apply: there is no guidance"),
        (["a star", "--solver", "eulr"], "did you mean 'euler'"),
        (["a star", "--guidance", '{"component": "cfg"'], "is not JSON"),
        (
            ["a star", "--guidance", '{"component": "cfg", "rescale": "x"}'],
            "guidances.rescale: expected float",
        ),
        (["a star", "--output", "picture.jpg"], "written as PNG"),
        (["a star", "--output", "file/picture.png"], "cannot make the output folder file"),
        (["a star", "--num-images", "0"], "num_images_per_prompt must be an integer of at least 1, got 0"),
        (["a star", "--prompts-file", "absent.txt"], "--prompts-file: no file absent.txt"),
        (["a star", "--prompts-file", "file"], "holds no prompt"),
        (["a \udce9 star"], "at 2: byte 0xe9 is not UTF-8; write the prompt in UTF-8"),
        (["a \0 star"], "at 2: character '\\x00' is a control character; leave it out"),
        (["a star", "--output", "run.v2"], "a name that ends in .png, or in a slash for a folder"),
        (["a star", "--prompts-file", "latin"], "latin: byte 0xe9 at offset 3 is not UTF-8"),
        (["star " * 20], "has 20 tokens, the hash encoder takes at most 12"),
        (["a star", "--dtype", "int8"], "invalid choice: 'int8'"),
    ],
)
def test_a_mistake_is_one_line_and_status_two(
    sample, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("\n")
    (tmp_path / "latin").write_bytes(b"caf\xe9 star")
    status, out, err = sample(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.png"))


def test_an_absent_model(sample, tmp_path: Path) -> None:
    status, _, err = sample("a star", model="scene")
    assert status == 2
    assert "unknown model 'scene'; did you mean 'scenes'" in err
    status, _, err = sample("a star", model=str(tmp_path / "absent"))
    assert status == 2
    assert "no such file or folder" in err


def test_help_imports_neither_jax_nor_pillow() -> None:
    code = (
        "import sys; from i1_hooks.cli import main; status = main(['sample', '--help']);"
        "heavy = {'jax', 'flax', 'numpy', 'PIL', 'rich'} & set(sys.modules);"
        "sys.exit(status or (str(heavy) if heavy else 0))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--guidance-scale" in result.stdout
    assert "JAX_COMPILATION_CACHE_DIR" in result.stdout
