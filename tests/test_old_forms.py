"""Each form that an earlier version wrote still loads, resumes and draws the same; see `old_forms/README.md`.

Pictures and losses are those of the earlier version bit for bit where `old_forms/environment.json` is also
true of this machine: the version of jaxlib, the flags of the compiler, the processor and its instructions,
on a CPU. Elsewhere a compiler may round differently, and they are equal within `LEVELS` and `RTOL`.
"""

import hashlib
import json
import runpy
import shutil
from importlib.metadata import entry_points
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FORMS = ROOT / "tests" / "old_forms"
NPZ = ROOT / "packages" / "i1-model" / "tests" / "goldens" / "checkpoints" / "checkpoint.npz-000000010"
LEVELS, RTOL = 2, 1e-4
SMALL = (
    "model.backbone.hidden_width=8",
    "model.backbone.mlp_ratio=2",
    "model.text_encoders.0.width=16",
    "model.autoencoder.factor=4",
    "model.resolution=32",
    "data.resolution=32",
    'loggers=["jsonl"]',
    "preview_prompts=[]",
    "keep_checkpoints=1",
)
RUN = (*SMALL, "checkpoint_every=4", "schedule.lr=0.01")
LORA = (*SMALL, "checkpoint_every=2", "schedule.lr=0.1", "init_from=model", "lora.rank=2", "lora.alpha=4")
RENAMED = {
    "checkpoint_every": "checkpoints.every",
    "keep_checkpoints": "checkpoints.keep",
    "keep_best": "checkpoints.keep_best",
    "sharding": "hardware.sharding",
}
"""Fields of a recipe that are spelled differently now; only files keep the earlier spelling."""
REPOSITORIES = {
    "flux": "black-forest-labs/FLUX.1-dev",
    "flux2": "black-forest-labs/FLUX.2-dev",
    "qwen_image": "Qwen/Qwen-Image",
}
"""Where the weights of autoencoders are; text encoders name theirs in the configuration."""
DRAWN_WITH = {
    "workdir": ["workdir"],
    "model": ["model"],
    "diffusers": ["diffusers"],
    "safetensors": ["diffusers/transformer/diffusion_pytorch_model.safetensors"],
    "model.pt": ["model.pt"],
    "single_stream": ["single_stream"],
    "cross_attention": ["cross_attention"],
    "adapter": ["adapter"],
    "lora": ["model", "--lora", "lora"],
    "diffusers.safetensors": ["model", "--lora", "diffusers.safetensors:0.5"],
    "comfy.safetensors": ["model", "--lora", "comfy.safetensors:0.5"],
    "kohya.safetensors": ["model", "--lora", "kohya.safetensors:0.5"],
}


@pytest.fixture
def forms(tmp_path, monkeypatch):
    """A copy of the old forms, as the current folder."""
    folder = Path(shutil.copytree(FORMS, tmp_path / "forms"))
    monkeypatch.chdir(folder)
    return folder


def i1(*arguments):
    """Runs a command line in this process and returns its status."""
    (command,) = entry_points(group="console_scripts", name="i1")
    return command.load()([str(argument) for argument in arguments])


def train(workdir, settings):
    """Runs `i1 train` with settings as the earlier version spelled them."""
    flags = []
    for setting in settings:
        name, _, value = setting.partition("=")
        is_start = name == "init_from"
        flags += ["--init-from", value] if is_start else ["--set", f"{RENAMED.get(name, name)}={value}"]
    return i1("train", "scenes-tiny", "--workdir", workdir, *flags)


def elsewhere():
    """Returns what of this machine differs from where the forms were made; empty where bits are equal."""
    here = {
        **runpy.run_path(str(FORMS / "environment.py"))["environment"](),
        "platform": jax.default_backend(),
    }
    made = {**json.loads((FORMS / "environment.json").read_text()), "platform": "cpu"}
    return [f"{name} {here[name]!r}, made with {made[name]!r}" for name in made if here[name] != made[name]]


def assert_same_picture(drawn, recorded):
    with Image.open(drawn) as new, Image.open(recorded) as old:
        assert new.size == old.size
        new, old = np.asarray(new, np.int16), np.asarray(old, np.int16)
    assert np.abs(new - old).max() <= (LEVELS if elsewhere() else 0)


def metrics(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_bits_are_compared_on_this_machine():
    if differing := elsewhere():
        pytest.skip(
            f"pictures and losses are compared within {LEVELS} levels and {RTOL}: {'; '.join(differing)}"
        )


def test_the_recorded_pictures_tell_forms_apart():
    pixels = {name: Image.open(FORMS / "pictures" / f"{name}.png").tobytes() for name in DRAWN_WITH}
    assert pixels["workdir"] == pixels["diffusers"] == pixels["safetensors"] == pixels["model.pt"]
    assert pixels["adapter"] == pixels["lora"]
    assert pixels["diffusers.safetensors"] == pixels["comfy.safetensors"] == pixels["kohya.safetensors"]
    assert len(set(pixels.values())) == 6


@pytest.mark.parametrize("form", DRAWN_WITH)
def test_it_draws_the_recorded_picture(form, forms):
    if form == "adapter":  # which names its base by the absolute path that it had
        config = forms / "adapter" / "config.json"
        record = json.loads(config.read_text())
        assert record["adapter"]["base"] == "/tmp/i1-old-forms/model"
        record["adapter"]["base"] = str(forms / "model")
        config.write_text(json.dumps(record))
    drawn = forms / "drawn.png"
    assert i1("sample", "a red circle", "--seed", 3, "--output", drawn, "--model", *DRAWN_WITH[form]) == 0
    assert_same_picture(drawn, forms / "pictures" / f"{form}.png")


def test_the_metadata_of_a_picture_draws_it_again(forms):
    recorded, drawn = forms / "pictures" / "settings.png", forms / "drawn.png"
    with Image.open(recorded) as image:
        record = json.loads(image.text["i1"])
        assert image.text["parameters"].startswith("a red circle\nSteps: 3, Sampler: ancestral, ")
    flags = {
        "--model": record["model"],
        "--seed": record["seed"],
        "--first-index": record["index"],
        "--width": record["width"],
        "--height": record["height"],
        "--steps": record["steps"],
        "--guidance-scale": record["guidance_scale"],
        "--solver": json.dumps(record["solver"]),
        "--time-grid": json.dumps(record["time_grid"]),
        "--guidance": json.dumps(record["guidance"]),
        "--output": drawn,
    }
    assert i1("sample", record["prompt"], *(text for flag in flags.items() for text in flag)) == 0
    assert_same_picture(drawn, recorded)


@pytest.mark.parametrize(
    ("workdir", "settings", "recorded"),
    [("workdir", (*RUN, "steps=6"), "resumed.jsonl"), ("lora", (*LORA, "steps=4"), "lora_resumed.jsonl")],
)
def test_a_run_resumes(workdir, settings, recorded, forms):
    done, expected = metrics(forms / workdir / "metrics.jsonl"), metrics(forms / recorded)
    assert train(workdir, settings) == 0
    found = metrics(forms / workdir / "metrics.jsonl")
    assert found[: len(done)] == done == expected[: len(done)]
    assert [line["step"] for line in found] == [line["step"] for line in expected]
    for new, old in zip(found[len(done) :], expected[len(done) :], strict=True):
        for name in ("loss", "grad_norm", "norm/parameters", "norm/update"):
            np.testing.assert_allclose(new[name], old[name], rtol=RTOL if elsewhere() else 0, err_msg=name)


def test_a_released_npz_is_read_bit_for_bit(forms):
    assert i1("convert", NPZ, "converted", "--to", "i1") == 0
    arrays = safetensors.numpy.load_file(forms / "converted" / "model.safetensors")
    found = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    assert found == json.loads((forms / "npz.json").read_text())


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_the_configuration_of_a_run_is_the_same_recipe(name, forms, capsys):
    """A workdir is accepted by the recipe that it holds: the next mistake is told, absent pictures."""
    settings = (forms / "configs" / f"{name}.settings").read_text().splitlines()
    (forms / "run").mkdir()
    shutil.copy(forms / "configs" / f"{name}.json", forms / "run" / "config.json")
    assert train("run", settings) == 2
    error = capsys.readouterr().err
    assert "holds another run" not in error
    assert "image_folder: no folder 'absent'" in error
    assert train("run", [*settings, "batch_size=8"]) == 2
    assert "holds another run: batch_size: 4 -> 8;" in capsys.readouterr().err


def frozen_parts():
    """Returns every recorded component with weights of its own, as a field of a model's configuration."""
    models = [json.loads(file.read_text())["model"] for file in sorted((FORMS / "frozen").glob("*.json"))]
    parts = [("autoencoder", model["autoencoder"]) for model in models]
    parts += [("text_encoders", encoder) for encoder in models[0]["text_encoders"]]
    return [pytest.param(field, component, id=component["component"]) for field, component in parts]


@pytest.mark.parametrize(("field", "component"), frozen_parts())
def test_a_model_with_frozen_weights_asks_for_them(field, component, forms, capsys, monkeypatch):
    """Its configuration is read: the command knows the repository of the weights, which are not here."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(forms / "cache"))
    config = forms / "model" / "config.json"
    record = json.loads(config.read_text())
    record["model"][field] = [component] if field == "text_encoders" else component
    config.write_text(json.dumps(record))
    assert i1("sample", "a red circle", "--model", "model", "--output", "drawn.png") == 2
    repository = component.get("repository") or REPOSITORIES[component["component"]]
    assert f"i1: error: {repository} (revision main) is neither" in capsys.readouterr().err
    assert not (forms / "drawn.png").exists()
