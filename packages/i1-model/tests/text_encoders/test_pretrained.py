"""Configurations of pretrained encoders: presets, shapes, folders that do not fit."""

import json
import logging
import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from encoder_folders import t5gemma_json, tensors, write_tokenizer, write_weights
from i1_hooks import UserError, from_dict, get_registry, to_dict
from i1_model.testing.text_encoders import TextEncoderSuite
from i1_model.text_encoders import TextEncoderConfig
from i1_model.text_encoders.clip import CLIPEncoder
from i1_model.text_encoders.fg_clip2 import FGCLIP2Encoder
from i1_model.text_encoders.qwen3 import Qwen3Encoder
from i1_model.text_encoders.qwen3_vl import Qwen3VLEncoder
from i1_model.text_encoders.t5 import T5Encoder
from i1_model.text_encoders.t5gemma import T5GemmaEncoder
from i1_model.text_encoders.t5gemma2 import T5Gemma2Encoder
from i1_model.text_encoders.tokenizer import read_tokenizer
from model_goldens import FOLDER, QUICK

ENCODERS = [
    T5GemmaEncoder,
    T5Gemma2Encoder,
    T5Encoder,
    CLIPEncoder,
    FGCLIP2Encoder,
    Qwen3Encoder,
    Qwen3VLEncoder,
]
TINY = T5GemmaEncoder(
    num_tokens=6, width=8, ffn_width=12, depth=2, num_heads=2, num_kv_heads=1, head_dim=4, vocab_size=11
)


def count(shapes):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(t5gemma_json(TINY)))
    write_weights(tmp_path, tensors(TINY, prefix="model.encoder."), shards=2)
    write_tokenizer(tmp_path)
    return tmp_path


@pytest.mark.golden
def test_the_step_can_be_traced_without_weights():
    config = T5GemmaEncoder.preset("2b-2b-it")
    encoder = config.build_abstract()
    tokens = encoder.tokenize(["a prompt", "another"])
    embeddings = jax.eval_shape(encoder.encode, encoder.params, tokens)
    assert embeddings.shape == (2, config.num_tokens, config.width)


def test_full_size_shapes():
    recorded = json.loads((FOLDER / "real_external_shapes.json").read_text())["t5gemma_2b_encoder"]
    config = T5GemmaEncoder()
    leaves = jax.tree.leaves(config.layout())
    ours = {f"model.encoder.{leaf.names()[0]}": list(leaf.shape) for leaf in leaves}
    assert ours == {name: shape for name, shape in recorded["names"].items() if name in ours}
    assert len(ours) == len(recorded["names"])
    assert count(config.shapes()) == recorded["num_values"]
    tokens = {"ids": np.zeros((2, 256), np.int32), "mask": np.ones((2, 256), bool)}
    out = jax.eval_shape(config.encode, config.shapes(), tokens)
    assert (out.shape, out.dtype) == ((2, 256, 2304), np.float32)


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (T5GemmaEncoder.preset("9b-2b-it"), 9_241_705_984),
        (T5Encoder.preset("small"), 35_332_800),
        (T5Encoder.preset("xxl"), 4_762_310_656),
        (CLIPEncoder(), 123_060_480),
        (Qwen3Encoder(), 1_720_574_976),
        (Qwen3Encoder.preset("4b-instruct-2507"), 4_022_468_096),
        (Qwen3VLEncoder.preset("4b"), 4_022_468_096),
        (T5Gemma2Encoder(), 999_887_104),
    ],
    ids=str,
)
def test_number_of_parameters(config, values):
    assert count(config.shapes()) == values


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_preset_survives_json_and_says_what_to_download(encoder):
    for name in encoder.presets:
        config = encoder.preset(name, num_tokens=32)
        assert config.num_tokens == 32
        assert from_dict(TextEncoderConfig, to_dict(config)) == config
        with pytest.raises(UserError, match=f"accept the licence.*{config.repository}.*set path") as error:
            config.load()
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="unknown preset of"):
        encoder.preset("huge")
    assert get_registry().name_of(encoder)


def test_impossible_sizes():
    for value in (0, -1):
        with pytest.raises(UserError, match=f"depth must be positive, got {value}"):
            T5GemmaEncoder(depth=value)
    with pytest.raises(UserError, match="vocab_size must be at most 16777216, got 16777217"):
        T5GemmaEncoder(vocab_size=2**24 + 1)
    for value in (0.0, float("nan")):
        with pytest.raises(UserError, match=f"softcap must be positive, got {value}"):
            T5GemmaEncoder(softcap=value)
    with pytest.raises(UserError, match="theta must be at most 16777216, got inf"):
        T5GemmaEncoder(theta=float("inf"))
    assert T5GemmaEncoder(pad_id=0, vocab_size=2**24).pad_id == 0
    with pytest.raises(UserError, match="pad_id must be positive, got -1"):
        T5GemmaEncoder(pad_id=-1)
    with pytest.raises(UserError, match="num_heads 8 is not a multiple of num_kv_heads 3"):
        T5GemmaEncoder(num_kv_heads=3)
    with pytest.raises(UserError, match="num_tokens 78 exceeds the 77 positions"):
        CLIPEncoder(num_tokens=78)
    with pytest.raises(UserError, match="width 768 is not a multiple of num_heads 7"):
        CLIPEncoder(num_heads=7)
    with pytest.raises(
        UserError, match="num_tokens 65 exceeds the 64 positions of walk 'short': use walk 'long'"
    ):
        FGCLIP2Encoder(num_tokens=65)
    with pytest.raises(UserError, match="num_tokens 197 exceeds the 196 positions of walk 'long': use fewer"):
        FGCLIP2Encoder.preset("so400m-long", num_tokens=197)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_says_how_many_tokens_a_cut_prompt_lost(encoder, tmp_path, caplog):
    pytest.importorskip("tokenizers", reason="needs the extra text")
    write_tokenizer(tmp_path)
    tokenize = encoder(num_tokens=9).make_tokenizer(read_tokenizer(tmp_path))
    prompt = "a Red circle " * 4
    with caplog.at_level(logging.WARNING):
        tokens = tokenize([prompt, "a red circle"])
    assert tokens["ids"].shape == (2, 9)
    assert tokens["mask"].sum(axis=1).tolist() == [9, 9 - tokenize.room + 3]
    assert caplog.messages == [
        f"1 of 2 prompts cut to 9 tokens; most was lost, {12 - tokenize.room} tokens, by {prompt!r}"
    ]


def test_fg_clip2_lower_cases_prompts_and_ends_them(tmp_path):
    pytest.importorskip("tokenizers", reason="needs the extra text")
    write_tokenizer(tmp_path)
    tokens = FGCLIP2Encoder(num_tokens=5).make_tokenizer(read_tokenizer(tmp_path))(["a RED Circle"])
    assert tokens["ids"].tolist() == [[3, 4, 5, 1, 0]]
    assert tokens["mask"].tolist() == [[True, True, True, True, False]]


def test_a_folder_of_another_size_names_every_difference(folder):
    other = replace(TINY, path=str(folder), width=16, depth=4)
    with pytest.raises(UserError, match="width is 8 there and 16 here, depth is 2 there and 4 here"):
        other.load()
    assert T5GemmaEncoder.from_folder(folder, num_tokens=6) == replace(TINY, path=str(folder))


def test_a_folder_of_another_model(folder):
    with pytest.raises(UserError, match="model_type is 't5gemma', this encoder does 't5'"):
        T5Encoder.from_folder(folder)
    data = t5gemma_json(TINY)
    del data["encoder"]["head_dim"]
    (folder / "config.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match="lacks 'head_dim'"):
        T5GemmaEncoder.from_folder(folder)
    data = t5gemma_json(TINY)
    data["encoder"]["rope_scaling"] = {"rope_type": "linear", "factor": 2}
    (folder / "config.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match="rope_type is 'linear'"):
        T5GemmaEncoder.from_folder(folder)


def test_a_path_that_is_no_folder(tmp_path):
    with pytest.raises(UserError, match="is not a folder; set path to a download"):
        T5GemmaEncoder(path=str(tmp_path / "nothing")).load()


def test_unmatched_weights(folder):
    (folder / "model.safetensors.index.json").unlink()
    arrays = tensors(TINY, prefix="model.encoder.")
    arrays["model.encoder.layers.2.mlp.up_proj.weight"] = arrays.pop("model.encoder.norm.weight")
    write_weights(folder, arrays)
    with pytest.raises(UserError, match=r"missing model.encoder.norm.weight, unknown model.encoder.layers.2"):
        replace(TINY, path=str(folder)).load()


class TestT5Gemma(TextEncoderSuite):
    prompts = ("a red circle", "two blue stars", "a")

    @pytest.fixture(autouse=True)
    def _encoder(self, folder):
        pytest.importorskip("tokenizers", reason="needs the extra text")
        self.component = replace(TINY, path=str(folder), dtype="float32")


def test_system_tokens_are_dropped_after_encoding():
    config = Qwen3Encoder(
        num_tokens=4,
        width=8,
        ffn_width=12,
        depth=1,
        num_heads=2,
        num_kv_heads=1,
        head_dim=4,
        vocab_size=11,
        dtype="float32",
    )
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), config.shapes())
    ids, mask = np.array([[9, 10, 3, 4, 5, 0]], np.int32), np.array([[1, 1, 1, 1, 1, 0]], bool)
    encode = jax.jit(config.encode, compiler_options=QUICK)
    whole = encode(params, {"ids": ids, "mask": mask})
    kept = encode(params, {"dropped": ids[:, :2], "ids": ids[:, 2:], "mask": mask[:, 2:]})
    np.testing.assert_allclose(kept, whole[:, 2:], atol=1e-6)
