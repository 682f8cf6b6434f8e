import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from i1_hooks import UserError
from i1_hooks.cli import main
from i1_model.adapters import TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones import DualStream
from i1_model.checkpoints.folder import to_record
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.lora.factors import Factors, check_adapter
from i1_model.lora.files import LORA_FILE, PEFT_CONFIG, PEFT_FILE, find_lora, read_lora, write_lora
from i1_model.lora.formats import FORMATS, PEFT_METADATA, decode, detect, encode
from i1_model.lora.layers import find_layers, select
from i1_model.text_encoders.hash import HashEncoder

CONFIG = ModelConfig(
    backbone=DualStream(hidden_width=16, num_heads=2, depth=5, patch_size=2),
    adapter=TransformerAdapter(num_blocks=2, num_heads=2),
    text_encoders=(HashEncoder(num_tokens=8, width=16),),
    autoencoder=PatchAutoencoder(factor=8),
    flow=RectifiedFlow(),
    resolution=32,
)
LAYERS = {layer.name: layer for layer in find_layers(CONFIG)}
NAMES = {
    "blocks_0/attn/qkv_image": "in_blocks.0.attn.qkv_image",
    "blocks_1/mlp_text/w12": "in_blocks.1.mlp_text.w12",
    "blocks_2/attn/proj_text": "mid_block.attn.proj_text",
    "blocks_3/skip_linear_image": "out_blocks.0.skip_linear_image",
    "blocks_4/mlp_image/w3": "out_blocks.1.mlp_image.w3",
    "text_encoder_adapter/connector_in": "text_encoder_adapter.connector_in",
    "text_encoder_adapter/connector_attn2/qkv": "text_encoder_adapter.connector_attn2.qkv",
    "text_encoder_adapter/connector_mlp/w3": "text_encoder_adapter.connector_mlp.w3",
    "final_layer/linear": "final_layer.linear",
}
"""Released JAX names and those of the released PyTorch modules."""


def an_adapter(dtype=np.float32):
    rng = np.random.default_rng(0)
    adapter = {}
    for number, (name, torch_name) in enumerate(sorted(NAMES.items())):
        layer, rank = LAYERS[name], 4 if number else 2
        a = rng.standard_normal((layer.in_width, rank)).astype(dtype)
        b = rng.standard_normal((rank, layer.out_width)).astype(dtype)
        adapter[torch_name] = Factors(a, b, 8.0 if number != 3 else 0.3)
    return adapter


def assert_same(one, other, *, alpha=True):
    assert one.keys() == other.keys()
    for name, factors in one.items():
        np.testing.assert_array_equal(factors.a, other[name].a, err_msg=name)
        np.testing.assert_array_equal(factors.b, other[name].b, err_msg=name)
        assert factors.a.dtype == other[name].a.dtype
        assert not alpha or factors.alpha == pytest.approx(other[name].alpha, rel=1e-7)


def test_layers_have_the_names_of_the_released_modules():
    assert {name: LAYERS[name].torch_name for name in NAMES} == NAMES
    assert len({layer.torch_name.replace(".", "_") for layer in LAYERS.values()}) == len(LAYERS)
    shape = (LAYERS["blocks_0/attn/qkv_image"].in_width, LAYERS["blocks_0/attn/qkv_image"].out_width)
    assert shape == (16, 48)


def test_patterns_match_any_of_the_names():
    layers = tuple(LAYERS.values())
    for pattern in (
        "blocks_2/attn/qkv_text",
        r"mid_block\.attn\.qkv_text",
        "backbone/blocks/middle/attn/qkv_text",
    ):
        assert [layer.name for layer in select(layers, [pattern])] == ["blocks_2/attn/qkv_text"]
    assert len(select(layers, [r"blocks_\d+/attn/qkv_.*"])) == 10
    with pytest.raises(UserError, match=r"'blocks_0/attn/qkv' matches no layer in full; layers are .*qkv_"):
        select(layers, ["blocks_0/attn/qkv"])


EXPECTED = {
    "diffusers": (
        "transformer.in_blocks.0.attn.qkv_image.lora_A.weight",
        "transformer.in_blocks.0.attn.qkv_image.lora_B.weight",
        None,
    ),
    "comfy": (
        "diffusion_model.in_blocks.0.attn.qkv_image.lora_down.weight",
        "diffusion_model.in_blocks.0.attn.qkv_image.lora_up.weight",
        "diffusion_model.in_blocks.0.attn.qkv_image.alpha",
    ),
    "kohya": (
        "lora_unet_in_blocks_0_attn_qkv_image.lora_down.weight",
        "lora_unet_in_blocks_0_attn_qkv_image.lora_up.weight",
        "lora_unet_in_blocks_0_attn_qkv_image.alpha",
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_keys_and_shapes(name):
    adapter = an_adapter()
    arrays, metadata = encode(adapter, name)
    down, up, alpha = EXPECTED[name]
    factors = adapter["in_blocks.0.attn.qkv_image"]
    np.testing.assert_array_equal(arrays[down], factors.a.T)  # (rank, in), as of torch.nn.Linear
    np.testing.assert_array_equal(arrays[up], factors.b.T)  # (out, rank)
    assert detect(arrays) == name
    if alpha is None:
        described = json.loads(metadata[PEFT_METADATA])
        assert not any(key.endswith(".alpha") for key in arrays)  # diffusers refuses keys without "lora"
        assert described["transformer.lora_alpha"] == 8
        assert described["transformer.target_modules"] == sorted(adapter)
        assert set(described["transformer.alpha_pattern"].values()) == {0.3}
    else:
        assert (arrays[alpha].shape, float(arrays[alpha])) == ((), factors.alpha)


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", FORMATS)
def test_round_trips_are_bit_exact(tmp_path, name, dtype):
    adapter = an_adapter(dtype)
    path = write_lora(tmp_path / "a.safetensors", adapter, name)
    first = read_lora(path, NAMES.values())
    assert first.format == name
    assert_same(adapter, first.adapter)
    for other in FORMATS:
        again = write_lora(tmp_path / f"{other}.safetensors", first.adapter, other)
        assert_same(adapter, read_lora(again, NAMES.values()).adapter)


def test_what_other_programs_write_is_read():
    adapter = {"mid_block.attn.proj_text": an_adapter()["mid_block.attn.proj_text"]}
    factors = adapter["mid_block.attn.proj_text"]
    down, up = factors.a.T, factors.b.T
    spellings = (
        ("base_model.model.mid_block.attn.proj_text.lora_A.weight", "lora_A", "lora_B", None),
        ("base_model.model.mid_block.attn.proj_text.lora_A.default.weight", "lora_A", "lora_B", None),
        ("diffusion_model.mid_block.attn.proj_text.lora_A.weight", "lora_A", "lora_B", None),
        ("mid_block.attn.proj_text.lora_A.weight", "lora_A", "lora_B", None),
        ("transformer.mid_block.attn.proj_text.lora_down.weight", "lora_down", "lora_up", None),
        ("lora_transformer_mid_block_attn_proj_text.lora_down.weight", "lora_down", "lora_up", 2.0),
    )
    for key, one, other, alpha in spellings:
        arrays = {key: down, key.replace(one, other): up}
        if alpha is not None:
            arrays[key.split(".")[0] + ".alpha"] = np.float32(alpha)
        read = decode(arrays, None, NAMES.values())
        assert_same(adapter, read, alpha=False)
        assert read["mid_block.attn.proj_text"].alpha == (alpha or factors.rank)
    module = "transformer.mid_block.attn.proj_text"
    arrays = {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}
    config = {"lora_alpha": 3, "alpha_pattern": {r"attn.proj_text": 5}}
    assert decode(arrays, config)["mid_block.attn.proj_text"].alpha == 5
    slanted = decode(arrays, {"lora_alpha": 3, "use_rslora": True})["mid_block.attn.proj_text"]
    assert slanted.scale == pytest.approx(3 / factors.rank**0.5)


def test_a_folder_of_peft_is_read(tmp_path):
    adapter = an_adapter()
    arrays, _ = encode(adapter, "diffusers")
    renamed = {key.replace("transformer.", "base_model.model."): value for key, value in arrays.items()}
    (tmp_path / PEFT_FILE).write_bytes(safetensors.numpy.save(renamed))
    (tmp_path / PEFT_CONFIG).write_text(json.dumps({"r": 4, "lora_alpha": 16}))
    read = read_lora(tmp_path).adapter
    assert_same(adapter, read, alpha=False)
    assert {factors.alpha for factors in read.values()} == {16.0}


def test_a_run_means_its_newest_checkpoint(tmp_path):
    for step in (5, 10):
        write_lora(tmp_path / "checkpoints" / str(step) / "model" / LORA_FILE, an_adapter(), "diffusers")
    assert find_lora(tmp_path) == tmp_path / "checkpoints" / "10" / "model" / LORA_FILE
    assert find_lora(tmp_path / "checkpoints" / "5").parts[-3] == "5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"transformer.a.lora_A.weight": np.ones((2, 4))},
            "incomplete: a has only transformer.a.lora_A.weight",
        ),
        ({"transformer.a.dora_scale": np.ones(2)}, "'transformer.a.dora_scale' is not a key of a LoRA file"),
        ({"a.lora_A.weight": np.ones((2, 4)), "a.lora_B.weight": np.ones((4, 3))}, "no low-rank matrix at a"),
        ({}, "holds no LoRA"),
        ({"lora_unet_a.lora_down.weight": np.ones((2, 4))}, "name its model with --model"),
    ],
)
def test_foreign_arrays_are_named(change, message):
    with pytest.raises(UserError, match=message):
        decode(change, None)


def test_foreign_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no LoRA at"):
        find_lora(tmp_path)
    (tmp_path / LORA_FILE).write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="truncated or not a safetensors file"):
        read_lora(tmp_path)
    with pytest.raises(UserError, match="1 of its 1 layers are not in this one: somewhere"):
        check_adapter({}, {"somewhere": an_adapter()["final_layer.linear"]})
    by_torch_name = {layer.torch_name: layer for layer in LAYERS.values()}
    with pytest.raises(UserError, match=r"mid_block.attn.proj_text is 16 to 768, the model's is 16 to 16"):
        check_adapter(by_torch_name, {"mid_block.attn.proj_text": an_adapter()["final_layer.linear"]})


def test_the_command(tmp_path, capsys):
    source = tmp_path / "run"
    write_lora(source / LORA_FILE, an_adapter(), "diffusers")
    (source / "config.json").write_text(json.dumps(to_record(CONFIG, {})))
    for name in FORMATS:
        target = tmp_path / f"{name}.safetensors"
        assert main(["lora", "export", str(source), str(target), "--format", name]) == 0
        assert_same(an_adapter(), read_lora(target, NAMES.values()).adapter)
    kohya = str(tmp_path / "kohya.safetensors")
    assert main(["lora", "export", kohya, str(tmp_path / "back"), "--model", str(source)]) == 0
    assert read_lora(tmp_path / "back").format == "diffusers"
    capsys.readouterr()
    assert main(["lora", "show", kohya, "--model", str(source)]) == 0
    shown = capsys.readouterr().out
    assert "kohya keys" in shown
    assert "rank 2, 4, alpha 0.3, 8" in shown
    assert "  in_blocks.0.attn.qkv_image\n" in shown
    for arguments, message in (
        (["export", kohya, str(tmp_path / "x")], "name its model with --model"),
        (["export", str(source), kohya], "exists; choose another name"),
        (["export", str(source), str(tmp_path / "y"), "--format", "peft"], "choose diffusers, comfy, kohya"),
    ):
        assert main(["lora", *arguments]) == 2
        assert message in capsys.readouterr().err
