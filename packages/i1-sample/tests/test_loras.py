import json

import numpy as np
import pytest
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_model.checkpoints.folder import load_model
from i1_model.checkpoints.names import to_released
from i1_model.lora.factors import Factors
from i1_model.lora.files import write_lora
from i1_model.lora.folder import save_adapter
from i1_sample import Pipeline
from i1_sample.testing.models import SAMPLING, TINY
from PIL import Image
from published import find_parts

QKV, PROJ = "in_blocks.0.attn.qkv_image", "mid_block.attn.proj_image"


def an_adapter(seed, *names):
    rng = np.random.default_rng(seed)
    widths = {QKV: (24, 72), PROJ: (24, 24)}
    return {
        name: Factors(
            rng.standard_normal((widths[name][0], 2)).astype(np.float32),
            rng.standard_normal((2, widths[name][1])).astype(np.float32),
            alpha=3.0,
        )
        for name in names
    }


@pytest.fixture
def loras(tmp_path):
    one = write_lora(tmp_path / "one.safetensors", an_adapter(1, QKV), "kohya")
    two = write_lora(tmp_path / "two.safetensors", an_adapter(2, QKV, PROJ), "comfy")
    return one, two


def weights(model_folder, *choices):
    return to_released(find_parts(model_folder, loras=choices).load_params())


def test_loras_add_up_with_their_scales(model_folder, loras):
    one, two = loras
    before = weights(model_folder)
    after = weights(model_folder, f"{one}:0.5", (two, -2.0))
    first, second = an_adapter(1, QKV)[QKV], an_adapter(2, QKV, PROJ)
    expected = before["blocks_0/attn/qkv_image/kernel"] + 0.5 * 1.5 * first.a @ first.b
    expected = expected - 2 * 1.5 * second[QKV].a @ second[QKV].b
    np.testing.assert_allclose(after["blocks_0/attn/qkv_image/kernel"], expected, rtol=1e-5, atol=1e-5)
    changed = {name for name in before if np.any(before[name] != after[name])}
    assert changed == {"blocks_0/attn/qkv_image/kernel", "blocks_1/attn/proj_image/kernel"}
    gone = weights(model_folder, one, f"{one}:-1")
    for name, value in before.items():
        np.testing.assert_allclose(value, gone[name], atol=2e-6, err_msg=name)


def test_a_folder_of_an_adapter_is_a_model(model_folder, loras, tmp_path):
    adapter = an_adapter(2, QKV, PROJ)
    metadata = {"step": 30, "sampling": {**SAMPLING, "num_inference_steps": 2}}
    folder = tmp_path / "run" / "checkpoints" / "30" / "model"
    save_adapter(folder, TINY, adapter, base=str(model_folder), metadata=metadata)
    parts = find_parts(tmp_path / "run")
    assert parts.metadata["step"] == 30
    assert parts.metadata["sampling"]["num_inference_steps"] == 2
    expected = weights(model_folder, loras[1])
    for name, value in to_released(parts.load_params()).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    more = find_parts(tmp_path / "run", loras=[(loras[1], -1.0)])
    plain = to_released(load_model(model_folder).params)
    for name, value in to_released(more.load_params()).items():
        np.testing.assert_allclose(value, plain[name], atol=2e-6, err_msg=name)


def test_an_absent_base_is_named(tmp_path):
    save_adapter(tmp_path / "a", TINY, an_adapter(2, QKV), base="/nowhere/base", metadata={})
    with pytest.raises(UserError, match=r"holds a LoRA for '/nowhere/base', which is not here .* --lora"):
        find_parts(tmp_path / "a")


def test_the_command_writes_what_was_used(model_folder, loras, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    flags = ["--lora", f"{loras[0]}:0.5", "--lora", str(loras[1]), "--steps", "1", "--output", str(picture)]
    assert main(["sample", "a star", "--model", str(model_folder), *flags]) == 0
    with Image.open(picture) as image:
        assert json.loads(image.text["i1"])["loras"] == [f"{loras[0]}:0.5", f"{loras[1]}:1"]
    capsys.readouterr()
    for lora, message in (
        ("absent", "no LoRA at 'absent'"),
        ("absent:much", "'much' is not a scale"),
        (f"{loras[0]}:nan", "must be a finite number"),
    ):
        assert main(["sample", "a star", "--model", str(model_folder), "--lora", lora]) == 2
        assert message in capsys.readouterr().err


def test_a_lora_of_another_model_is_refused(model_folder, tmp_path):
    wrong = {QKV: Factors(np.ones((3, 2), np.float32), np.ones((2, 5), np.float32), 2.0)}
    path = write_lora(tmp_path / "wrong.safetensors", wrong, "diffusers")
    with pytest.raises(UserError, match=r"another model: .*: in_blocks.0.attn.qkv_image is 3 to 5"):
        Pipeline.from_pretrained(model_folder, loras=[path])
