"""Folders of weights that tests write."""

import json

import jax
import numpy as np
import safetensors.numpy
from i1_model.text_encoders.weights import Stored

WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "circle", "two", "stars", "blue", "<|im_start|>", "user"]


def tensors(config, seed=0, prefix=""):
    """Random float32 tensors under the stored names of an encoder."""
    rng = np.random.default_rng(seed)
    leaves: list[Stored] = jax.tree.leaves(config.layout())
    return {
        prefix + name: rng.normal(size=leaf.shape, scale=0.3).astype(np.float32)
        for leaf in leaves
        for name in leaf.names()
    }


def write_weights(folder, arrays, shards=1):
    """Writes one file, or shards with an index."""
    if shards == 1:
        safetensors.numpy.save_file(arrays, folder / "model.safetensors")
        return
    weight_map = {}
    for i in range(shards):
        name = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = {key: arrays[key] for key in sorted(arrays)[i::shards]}
        safetensors.numpy.save_file(part, folder / name)
        weight_map.update(dict.fromkeys(part, name))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write_tokenizer(folder):
    """Writes a tokenizer.json of whole words."""
    data = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(WORDS)}, "unk_token": "<unk>"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(data))


def t5gemma_json(config):
    return {
        "model_type": "t5gemma",
        "encoder": {
            "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": config.width,
            "intermediate_size": config.ffn_width,
            "num_hidden_layers": config.depth,
            "num_attention_heads": config.num_heads,
            "num_key_value_heads": config.num_kv_heads,
            "head_dim": config.head_dim,
            "query_pre_attn_scalar": config.query_scalar,
            "attn_logit_softcapping": config.softcap,
            "sliding_window": config.sliding_window,
            "rope_theta": config.theta,
            "rms_norm_eps": config.eps,
            "vocab_size": config.vocab_size,
        },
    }
