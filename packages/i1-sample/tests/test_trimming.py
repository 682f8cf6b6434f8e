"""Padding behind the adapter is dropped, and pictures stay the same."""

import dataclasses

import jax
import numpy as np
import pytest
from i1_model.backbones import CrossAttention, DualStream, SingleStream
from i1_model.checkpoints.folder import LoadedModel
from i1_model.text_encoders.hash import HashEncoder
from i1_sample import Pipeline
from i1_sample.programs import Programs
from i1_sample.testing.models import TINY
from i1_sample.trimming import text_lengths

LONG = (HashEncoder(num_tokens=80, width=16),)
SIZES = {"hidden_width": 24, "num_heads": 2, "depth": 3}


def mask(*lengths: int, whole: int = 80) -> np.ndarray:
    return np.arange(whole) < np.array(lengths)[:, None]


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [((3, 32), 32), ((33,), 64), ((64, 1), 64), ((65,), None), ((80,), None), ((5, 0), None)],
)
def test_lengths_are_a_few_and_hold_every_valid_token(lengths, kept):
    config = dataclasses.replace(TINY, text_encoders=LONG)
    assert text_lengths(config, [mask(*lengths)]) == (None if kept is None else (kept,))


def test_negative_prompts_count_and_only_the_last_encoder_is_cut():
    config = dataclasses.replace(TINY, text_encoders=LONG)
    assert text_lengths(config, [mask(3)], [mask(40)]) == (64,)
    assert text_lengths(config, [mask(3), mask(3)]) == (80, 32)
    assert text_lengths(config, [mask(3, whole=32)]) is None
    left = mask(3)[:, ::-1]
    assert text_lengths(config, [left]) is None
    repeated = dataclasses.replace(config.backbone, repeat_text=True)
    assert text_lengths(dataclasses.replace(config, backbone=repeated), [mask(3)]) is None


@pytest.mark.parametrize("backbone", [DualStream(**SIZES), SingleStream(**SIZES), CrossAttention(**SIZES)])
def test_pictures_are_the_same_with_and_without_padding(backbone, monkeypatch):
    config = dataclasses.replace(TINY, text_encoders=LONG, backbone=backbone)
    params = Programs(config).init(jax.random.key(0))
    found = []
    for trims in (True, False):
        if not trims:
            monkeypatch.setattr("i1_sample.running.text_lengths", lambda *given: None)
        pipeline = Pipeline(LoadedModel(config, params, {}))
        seen = []
        step = pipeline.programs.step

        def watch(params, conditioning, *rest, step=step, seen=seen):
            seen.append(conditioning.tokens.shape[1])
            return step(params, conditioning, *rest)

        monkeypatch.setattr(pipeline.programs, "step", watch)
        options = {"negative_prompt": [None, "a ring"], "num_inference_steps": 2, "guidance_scale": 3.0}
        found.append(pipeline(["a star", "two rings"], seed=1, output_type="latent", **options).images)
        assert set(seen) == {32 if trims else 80}
    np.testing.assert_allclose(*found, atol=1e-5)
