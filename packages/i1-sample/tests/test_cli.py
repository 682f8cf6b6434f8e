import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_sample.png import write_bytes
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
    assert record["guidance"] == {"component": "cfg", "rescale": 0.25, "interval_start": 0.0}
    assert record["time_grid"] == {"component": "shifted", "shift": 0.5}
    assert record["model"] == str(model_folder)
    assert record["model_step"] == 7
    assert (record["config"]["resolution"], record["width"], record["height"]) == (16, 24, 8)
    assert (record["revision"], record["revisions"], record["preset"]) == (None, {}, None)
    assert {"python", "jax", "flax", "i1-sample", "i1-model"} <= set(record["versions"])
    assert text.endswith(f"Model: {model_folder}, Version: i1-sample {record['versions']['i1-sample']}")
    assert record["plugins"]["i1-sample"]


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
    assert sample("a star", "--num-images", "2", "--output", "F.png", "--batch-size", "4")[1] == (
        "wrote F-0.png\nwrote F-1.png\n"
    )
    assert sample("a star", "--first-index", "1", "--output", "one.png")[0] == 0
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
        (["a star", "--solver", "eulr"], "did you mean 'euler'"),
        (["a star", "--guidance", '{"component": "cfg"'], "is not JSON"),
        (
            ["a star", "--guidance", '{"component": "cfg", "rescale": "x"}'],
            "guidances.rescale: expected float",
        ),
        (["a star", "--output", "picture.jpg"], "written as PNG"),
        (["a star", "--output", "file/picture.png"], "cannot make the output folder file"),
        (["a star", "--num-images", "0"], "num_images_per_prompt must be an integer of at least 1, got 0"),
        (["a star", "--prompts-file", "absent.txt"], "--prompts-file absent.txt: No such file"),
        (["a star", "--prompts-file", "file"], "holds no prompt"),
        (["star " * 20], "has 20 tokens, the hash encoder takes at most 12"),
        (["a star", "--dtype", "int8"], "invalid choice: 'int8'"),
    ],
)
def test_a_mistake_is_one_line_and_status_two(
    sample, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("\n")
    status, out, err = sample(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.png"))


def test_no_room_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.png: No space left on device; choose another"):
        write_bytes(tmp_path / "a.png", b"picture")
    assert not list(tmp_path.iterdir())


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
