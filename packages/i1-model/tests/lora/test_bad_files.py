"""LoRA files that are degenerate, damaged, or made for another model: the file and the key are named."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from i1_hooks import UserError
from i1_model.adapters import TransformerAdapter
from i1_model.arrays.trees import flatten
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_model.flow import RectifiedFlow
from i1_model.lora.factors import Factors, check_adapter, list_some, merge
from i1_model.lora.files import PEFT_CONFIG, PEFT_FILE, read_lora, read_lora_for
from i1_model.lora.formats import PEFT_METADATA, decode
from i1_model.lora.layers import find_layers
from i1_model.text_encoders.hash import HashEncoder

CONFIG = ModelConfig(
    backbone=DualStream(hidden_width=16, num_heads=2, depth=3, patch_size=2),
    adapter=TransformerAdapter(num_blocks=1, num_heads=2),
    text_encoders=(HashEncoder(num_tokens=4, width=16),),
    autoencoder=PatchAutoencoder(factor=2),
    flow=RectifiedFlow(),
    resolution=8,
)
LAYER = "in_blocks.0.attn.proj_image"
DOWN, UP, ALPHA = (
    f"diffusion_model.{LAYER}.{part}" for part in ("lora_down.weight", "lora_up.weight", "alpha")
)


def factors(in_width=16, out_width=16, rank=2, alpha=2.0) -> Factors:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(in_width, rank)), rng.normal(size=(rank, out_width))
    return Factors(a.astype(np.float32), b.astype(np.float32), alpha)


def arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """A file of one layer in ComfyUI's keys, with changed parts `down`, `up` and `alpha`."""
    parts = {"down": np.ones((2, 16), np.float32), "up": np.ones((16, 2), np.float32), **changes}
    keys = {"down": DOWN, "up": UP, "alpha": ALPHA}
    return {keys[part]: np.asarray(array, array.dtype) for part, array in parts.items()}


def write(folder: Path, stored: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> Path:
    path = folder / "style.safetensors"
    path.write_bytes(safetensors.numpy.save(stored, metadata))
    return path


NUMBER = np.float32(4)


@pytest.mark.parametrize(
    "alpha", [NUMBER, NUMBER.reshape(1), NUMBER.reshape(1, 1), NUMBER.astype(jnp.bfloat16)]
)
def test_an_alpha_is_one_number_of_any_shape(alpha: np.ndarray, tmp_path: Path):
    adapter = read_lora_for(CONFIG, write(tmp_path, arrays(alpha=np.asarray(alpha)))).adapter
    assert (adapter[LAYER].alpha, adapter[LAYER].scale) == (4.0, 2.0)


BAD = {
    "rank 0": (
        arrays(down=np.ones((0, 16), np.float32), up=np.ones((16, 0), np.float32)),
        rf"no low-rank matrix at {LAYER}: {DOWN} \(0, 16\) and {UP} \(16, 0\); .* rank of 1 or more",
    ),
    "ranks that differ": (arrays(down=np.ones((3, 16), np.float32)), rf"{DOWN} \(3, 16\) and {UP} \(16, 2\)"),
    "a vector": (arrays(down=np.ones(16, np.float32)), rf"no low-rank matrix at {LAYER}: {DOWN} \(16,\)"),
    "a convolution": (arrays(up=np.ones((16, 2, 1, 1), np.float32)), rf"{UP} \(16, 2, 1, 1\)"),
    "two alphas": (arrays(alpha=np.ones(2, np.float32)), rf"{ALPHA} has shape \(2,\), expected one number"),
    "no alpha": (arrays(alpha=np.ones(0, np.float32)), rf"{ALPHA} has shape \(0,\), expected one number"),
    "integers": (arrays(up=np.ones((16, 2), np.int32)), f"{UP} is stored as int32, not as floating-point"),
    "weights of NaN": (
        arrays(up=np.full((16, 2), np.nan, np.float32)),
        rf"{UP}: 32 of 32 numbers are not finite, the first is nan",
    ),
    "an infinite weight": (
        arrays(down=np.full((2, 16), np.inf, jnp.bfloat16)),
        rf"{DOWN}: 32 of 32 numbers are not finite, the first is inf",
    ),
    "alpha of NaN": (
        arrays(alpha=np.full((), np.nan, np.float32)),
        f"{ALPHA}: 1 of 1 numbers are not",
    ),
    "other widths": (
        arrays(down=np.ones((2, 17), np.float32)),
        rf"another model: 1 of its 1 layers have other widths: {LAYER} is 17 to 16, the model's is 16 to 16",
    ),
    "the same part twice": (
        {**arrays(), f"transformer.{LAYER}.lora_A.weight": np.ones((2, 16), np.float32)},
        f"transformer.{LAYER}.lora_A.weight and {DOWN} are the same part|"
        f"{DOWN} and transformer.{LAYER}.lora_A.weight are the same part",
    ),
    "a part alone": ({DOWN: np.ones((2, 16), np.float32)}, f"is incomplete: {LAYER} has only {DOWN}"),
    "nothing": ({}, "the file holds no LoRA"),
}


@pytest.mark.parametrize("what", BAD)
def test_the_file_and_the_key_are_named(what: str, tmp_path: Path):
    stored, message = BAD[what]
    with pytest.raises(UserError, match=rf"style\.safetensors: .*(?:{message})") as error:
        read_lora_for(CONFIG, write(tmp_path, stored))
    assert "\n" not in str(error.value)
    assert str(error.value).count("style.safetensors") == 1


PEFT_BAD = {
    '{"lora_alpha": NaN}': "alpha is nan, expected a finite number",
    '{"lora_alpha": 1e400}': "alpha is inf, expected a finite number",
    '{"lora_alpha": "4"}': "alpha is '4', expected a finite number",
    '{"lora_alpha": true}': "alpha is True, expected a finite number",
    '{"alpha_pattern": {"(": 4}}': r"alpha_pattern: '\(' is not a regular expression",
    '{"alpha_pattern": {"a": null}}': "alpha is None",
    '{"alpha_pattern": [1]}': r"alpha_pattern is \[1\], expected alphas by pattern",
    "[1]": "is not a JSON object",
    "{": "is not JSON",
}


@pytest.mark.parametrize("text", PEFT_BAD)
def test_a_configuration_that_is_damaged(text: str, tmp_path: Path):
    with pytest.raises(UserError, match=rf"style\.safetensors.*{PEFT_BAD[text]}"):
        read_lora(write(tmp_path, arrays(), {PEFT_METADATA: text}))
    (tmp_path / PEFT_FILE).write_bytes(safetensors.numpy.save(arrays()))
    (tmp_path / PEFT_CONFIG).write_text(text)
    with pytest.raises(UserError, match=PEFT_BAD[text]):
        read_lora(tmp_path)


def test_ranks_that_differ_scale_by_their_own():
    both = {
        f"a.{part}.weight": np.ones(shape) for part, shape in (("lora_A", (2, 8)), ("lora_B", (8, 2)))
    } | {f"b.{part}.weight": np.ones(shape) for part, shape in (("lora_A", (5, 8)), ("lora_B", (8, 5)))}
    assert [layer.scale for layer in decode(both, None).values()] == [1, 1]
    assert [layer.scale for layer in decode(both, {"lora_alpha": 10}).values()] == [5, 2]
    assert [layer.scale for layer in decode({**both, "a.alpha": np.ones(1)}, None).values()] == [0.5, 1]


def test_unknown_layers_are_counted_and_named():
    layers = {layer.torch_name: layer for layer in find_layers(CONFIG)}
    strangers = {f"stranger.{number}": factors() for number in range(5)}
    names = r"stranger\.0, stranger\.1, stranger\.2 and 2 more$"
    with pytest.raises(UserError, match=f"another model: 5 of its 6 layers are not in this one: {names}"):
        check_adapter(layers, {LAYER: factors(), **strangers})
    with pytest.raises(UserError, match=r"5 of its 5 layers are not in this one"):
        check_adapter(layers, strangers)
    kohya = {
        f"lora_unet_{name}.lora_{part}.weight": np.ones((2, 2)) for name in "ab" for part in ("up", "down")
    }
    with pytest.raises(UserError, match=r"another model: 2 of its 2 layers are not in this one: a, b$"):
        decode(kohya, None, layers)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "n0"), (3, "n0, n1, n2"), (4, "n0, n1, n2 and 1 more"), (9, "n0, n1, n2 and 6 more")],
)
def test_how_many_names_a_message_lists(count: int, text: str):
    assert list_some([f"n{i}" for i in range(count)]) == text


def test_of_several_files_the_wrong_one_is_named(tmp_path: Path):
    good = write(tmp_path, arrays())
    (tmp_path / "wrong").mkdir()
    wrong = write(
        tmp_path / "wrong", {key.replace("in_blocks.0", "blocks.9"): a for key, a in arrays().items()}
    )
    read_lora_for(CONFIG, good)
    with pytest.raises(UserError, match=f"^{wrong}: the LoRA is of another model: 1 of its 1"):
        read_lora_for(CONFIG, wrong)


def test_merging_adds_with_the_right_sign_and_refuses_what_is_not_finite():
    params = nnx.split(init_denoiser(CONFIG, jax.random.key(0)))[1]
    layer = next(layer for layer in find_layers(CONFIG) if layer.torch_name == LAYER)
    kernel = f"{layer.path}/kernel"

    def delta(strength: float) -> np.ndarray:
        merged = flatten(merge(CONFIG, params, [({LAYER: factors()}, strength)]))[kernel]
        change = np.asarray(merged - flatten(params)[kernel])
        return change if layer.index is None else change[layer.index]

    np.testing.assert_allclose(delta(0.5), 0.5 * factors().product(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(delta(-2), -2 * factors().product(), rtol=0, atol=1e-6)
    for adapter, strength in (({LAYER: factors()}, 1e38), ({LAYER: factors(alpha=3e38)}, 1.0)):
        with pytest.raises(UserError, match=f"numbers of {kernel} that are not finite: use a"):
            merge(CONFIG, params, [(adapter, strength)])


def test_json_is_what_peft_writes(tmp_path: Path):
    settings = {"lora_alpha": 3, "alpha_pattern": {"attn.proj_image": 5.0}}
    path = write(
        tmp_path, arrays(), {PEFT_METADATA: json.dumps({f"transformer.{k}": v for k, v in settings.items()})}
    )
    assert read_lora(path).adapter[LAYER].alpha == 5
