"""Fresh random models of transformers, saved as it saves them and read by ours: equal hidden states."""

import json

import jax
import numpy as np
import pytest
from encoder_folders import write_weights
from i1_model.text_encoders.clip import CLIPEncoder
from i1_model.text_encoders.fg_clip2 import FGCLIP2Encoder
from i1_model.text_encoders.qwen3 import Qwen3Encoder
from i1_model.text_encoders.qwen3_vl import Qwen3VLEncoder
from i1_model.text_encoders.t5 import T5Encoder
from i1_model.text_encoders.t5gemma import T5GemmaEncoder
from i1_model.text_encoders.t5gemma2 import T5Gemma2Encoder
from model_goldens import QUICK

torch = pytest.importorskip("torch", reason="needs the extra torch", exc_type=ImportError)
transformers = pytest.importorskip("transformers", reason="needs the extra torch", exc_type=ImportError)

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
LENGTH = 14
GROUPED = {
    "vocab_size": 70,
    "hidden_size": 24,
    "intermediate_size": 36,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "head_dim": 8,
}


def t5gemma():
    module = transformers.T5GemmaModuleConfig(**GROUPED, query_pre_attn_scalar=11, attn_logit_softcapping=3.0)
    config = transformers.T5GemmaConfig(encoder=module, decoder=module)
    config._attn_implementation = "eager"
    model = transformers.T5GemmaForConditionalGeneration(config)
    return model, model.model.encoder


def t5gemma2():
    text = {
        **GROUPED,
        "num_hidden_layers": 7,
        "layer_types": (["sliding_attention"] * 2 + ["full_attention"]) * 2 + ["sliding_attention"],
        "sliding_window": 5,
        "query_pre_attn_scalar": 11,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e3},
        },
    }
    vision = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 4,
        "patch_size": 2,
    }
    encoder = {"text_config": text, "vision_config": vision, "eoi_token_index": 59, "mm_tokens_per_image": 4}
    config = transformers.T5Gemma2Config(encoder=encoder, decoder=text)
    model = transformers.T5Gemma2ForConditionalGeneration._from_config(config, attn_implementation="eager")
    return model, model.model.encoder


def t5():
    config = transformers.T5Config(
        vocab_size=70,
        d_model=20,
        d_kv=6,
        d_ff=36,
        num_layers=3,
        num_heads=5,
        relative_attention_num_buckets=12,
        relative_attention_max_distance=9,
        feed_forward_proj="gated-gelu",
    )
    model = transformers.T5ForConditionalGeneration(config)
    return model, model.encoder


def clip(activation):
    text = {
        "vocab_size": 70,
        "hidden_size": 20,
        "intermediate_size": 36,
        "num_hidden_layers": 3,
        "num_attention_heads": 5,
        "max_position_embeddings": LENGTH,
        "hidden_act": activation,
        "eos_token_id": 69,
    }
    vision = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 4,
        "patch_size": 2,
    }
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision))
    return model, model.text_model


def qwen3():
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**GROUPED))
    return model, model.model


def qwen3_vl():
    vision = {
        "depth": 1,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_heads": 2,
        "out_hidden_size": 24,
        "deepstack_visual_indexes": [0],
        "patch_size": 2,
    }
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    text = {**GROUPED, "rope_parameters": {**rope, "rope_theta": 5e4}}
    config = transformers.Qwen3VLConfig(text_config=text, vision_config=vision)
    model = transformers.Qwen3VLForConditionalGeneration(config)
    return model, model.model.language_model


CASES = {
    "t5gemma": (t5gemma, T5GemmaEncoder, {"padding_queries": "attend"}),
    "t5gemma2": (t5gemma2, T5Gemma2Encoder, {}),
    "t5": (t5, T5Encoder, {}),
    "clip_quick_gelu": (lambda: clip("quick_gelu"), CLIPEncoder, {}),
    "clip_gelu": (lambda: clip("gelu"), CLIPEncoder, {}),
    "qwen3": (qwen3, Qwen3Encoder, {}),
    "qwen3_vl": (qwen3_vl, Qwen3VLEncoder, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_hidden_states_equal_those_of_transformers(case, tmp_path):
    make, encoder, options = CASES[case]
    torch.manual_seed(3)
    model, tower = make()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.eval().save_pretrained(tmp_path, max_shard_size="20KB")
    rng = np.random.default_rng(5)
    mask = np.arange(LENGTH)[None] < np.array([[LENGTH], [6], [1]])
    ids = np.where(mask, rng.integers(3, 60, mask.shape), 0)
    ids[0, 3] = 59
    with torch.no_grad():
        expected = tower(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask).long())
    config = encoder.from_folder(tmp_path, dtype="float32", num_tokens=LENGTH, **options)
    out = jax.jit(config.encode, compiler_options=QUICK)(config.load(), {"ids": ids, "mask": mask})
    np.testing.assert_allclose(out, expected.last_hidden_state.numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("walk", ["short", "long"])
@pytest.mark.parametrize("padding_keys", ["attend", "hide"])
def test_fg_clip2_is_siglip2_with_its_positions_put_together(walk, padding_keys, tmp_path):
    rows = {"short": LENGTH, "long": LENGTH + 3}
    text = {
        "vocab_size": 70,
        "hidden_size": 20,
        "intermediate_size": 36,
        "num_hidden_layers": 3,
        "num_attention_heads": 5,
    }
    torch.manual_seed(4)
    config = transformers.Siglip2TextConfig(**text, max_position_embeddings=rows[walk])
    model = transformers.Siglip2TextModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    stored = {name: value.numpy() for name, value in model.state_dict().items()}
    table = stored["embeddings.position_embedding.weight"]
    rng = np.random.default_rng(5)
    first, rest = rng.normal(size=(2, rows["long"], 20)).astype(np.float32)
    if walk == "long":
        first[:5], rest[5:] = table[:5], table[5:]
        stored["embeddings.position_embedding.weight"] = first[:LENGTH].copy()
    stored["embeddings.position_embedding_ori.weight"] = first
    stored["embeddings.position_embedding_res.weight"] = rest
    write_weights(tmp_path, {f"text_model.{name}": value for name, value in stored.items()})
    sizes = {"max_position_embeddings": LENGTH, "longtext_len": rows["long"], "keep_len": 5}
    settings = {"model_type": "fgclip2", "text_config": {**text, **sizes}}
    (tmp_path / "config.json").write_text(json.dumps(settings))

    mask = np.arange(LENGTH)[None] < np.array([[LENGTH], [6], [1]])
    ids = np.where(mask, rng.integers(3, 60, mask.shape), 0)
    keys = torch.tensor(mask).long() if padding_keys == "hide" else None
    with torch.no_grad():
        expected = model(input_ids=torch.tensor(ids), attention_mask=keys).last_hidden_state
    ours = FGCLIP2Encoder.from_folder(
        tmp_path, dtype="float32", num_tokens=LENGTH, walk=walk, padding_keys=padding_keys
    )
    out = jax.jit(ours.encode, compiler_options=QUICK)(ours.load(), {"ids": ids, "mask": mask})
    np.testing.assert_allclose(out, expected.numpy(), atol=1e-5, rtol=1e-5)
