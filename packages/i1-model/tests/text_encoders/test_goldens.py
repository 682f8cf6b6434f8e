"""Recorded hidden states of the pretrained encoders, float32."""

import json

import jax
import numpy as np
import pytest
from i1_model.text_encoders.clip import CLIPEncoder
from i1_model.text_encoders.qwen3 import Qwen3Encoder
from i1_model.text_encoders.t5 import T5Encoder
from i1_model.text_encoders.t5gemma import T5GemmaEncoder
from model_goldens import FOLDER, QUICK

ENCODERS = {
    "t5gemma": T5GemmaEncoder,
    "t5": T5Encoder,
    "clip_text_model": CLIPEncoder,
    "qwen3": Qwen3Encoder,
}
FOLDERS = sorted(path.parent for path in FOLDER.glob("text_*/config.json"))


@pytest.mark.golden
def test_goldens_are_there():
    assert FOLDERS, f"no folders text_*/ in {FOLDER}"


@pytest.mark.golden
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_hidden_states(folder):
    with np.load(folder / "io.npz", allow_pickle=False) as arrays:
        golden = dict(arrays)
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    options = {"padding_queries": "attend"} if kind == "t5gemma" else {}
    ids, mask = golden["input_ids"], golden["attention_mask"].astype(bool)
    config = ENCODERS[kind].from_folder(folder, dtype="float32", num_tokens=ids.shape[1], **options)
    params = config.load()
    tokens = {"ids": ids, "mask": mask}
    out = jax.jit(config.encode, compiler_options=QUICK)(params, tokens)
    np.testing.assert_allclose(out, golden["last_hidden_state"], atol=2e-5)
    if kind == "t5gemma":
        default = ENCODERS[kind].from_folder(folder, dtype="float32", num_tokens=ids.shape[1])
        out = np.asarray(jax.jit(default.encode, compiler_options=QUICK)(params, tokens))
        np.testing.assert_allclose(out[mask], golden["last_hidden_state"][mask], atol=2e-5)
        if "jax_encoder_hidden_state" in golden:
            np.testing.assert_allclose(out, golden["jax_encoder_hidden_state"], atol=2e-5)
