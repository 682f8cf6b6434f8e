"""The recipes of the embedded model: a small i1, trained on procedural scenes."""

from __future__ import annotations

import dataclasses

from i1_data.config import DataConfig
from i1_data.scenes.source import ScenesSource
from i1_model.adapters.transformer import TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones.dual_stream import DualStream
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.sampling import SamplingDefaults
from i1_model.text_encoders.hash import HashEncoder

from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.config import PREVIOUS_STAGE, Average, InitFrom, TrainConfig
from i1_train.loggers.tensorboard import TensorBoard
from i1_train.optimizers.adam import Adam
from i1_train.optimizers.muon import Muon
from i1_train.schedules import Constant, WarmRestart, WarmupStableDecay

PREVIEW_PROMPTS = (
    "a red circle above a blue square",
    "three yellow stars",
    "a pink ring",
    "a green triangle and a black cross",
    'the word "CAT" in purple',
    "a star on the left",
)


def scenes() -> TrainConfig:
    """A small i1: dual stream, long skips, transformer adapter, no AdaLN, sandwich norms, x-prediction."""
    return TrainConfig(
        recipe="scenes",
        model=ModelConfig(
            backbone=DualStream(hidden_width=128, num_heads=4, depth=5, patch_size=2),
            adapter=TransformerAdapter(num_blocks=2, num_heads=4),
            text_encoders=(HashEncoder(num_tokens=24),),
            autoencoder=PatchAutoencoder(factor=4),
            flow=RectifiedFlow(mu=-2.0, sigma=1.1, prediction="x"),
            resolution=64,
        ),
        data=DataConfig(sources=(ScenesSource(),), resolution=64),
        optimizer=Muon(),
        schedule=WarmRestart(
            first=WarmupStableDecay(lr=5e-3, warmup=100, decay=0.7, final_lr=2e-5),
            share=0.6,
            then=WarmupStableDecay(lr=3e-3, warmup=100, decay=0.95, final_lr=2e-5),
        ),
        batch_size=32,
        steps=40_000,
        average=Average(decay=0.999, warmup=True),
        preview_prompts=PREVIEW_PROMPTS,
        sampling=SamplingDefaults(
            num_inference_steps=100,
            guidance_scale=2.0,
            solver="ancestral",
            time_grid={"component": "shifted", "shift": 0.15},
            guidance={"component": "cfg", "rescale": 0.0},
        ),
    )


def scenes_words() -> TrainConfig:
    """The second stage of the embedded model: a third of the images are words, and times reach the data.

    It starts from the averaged weights of `scenes`, and computes in bfloat16.
    """
    first = scenes()
    return dataclasses.replace(
        first,
        recipe="scenes-words",
        model=dataclasses.replace(
            first.model,
            flow=RectifiedFlow(mu=-1.4, sigma=1.5, prediction="x"),
            compute_dtype="bfloat16",
        ),
        data=DataConfig(
            sources=(ScenesSource(weights=(0.027, 0.137, 0.123, 0.027, 0.158, 0.178, 0.35)),), resolution=64
        ),
        schedule=WarmupStableDecay(lr=3e-3, warmup=100, decay=0.9, final_lr=2e-5),
        steps=6_000,
        start=InitFrom(weights=PREVIOUS_STAGE),
    )


def scenes_objects() -> TrainConfig:
    """The third stage of the embedded model: mostly several objects, at times where they are placed.

    It starts from the averaged weights of `scenes-words`; a tenth of the pictures still are words.
    """
    before = scenes_words()
    return dataclasses.replace(
        before,
        recipe="scenes-objects",
        model=dataclasses.replace(before.model, flow=RectifiedFlow(mu=-1.9, sigma=1.2, prediction="x")),
        data=DataConfig(
            sources=(ScenesSource(weights=(0.03, 0.25, 0.17, 0.03, 0.14, 0.28, 0.1)),), resolution=64
        ),
        schedule=WarmupStableDecay(lr=3e-3, warmup=100, decay=0.95, final_lr=2e-5),
        steps=4_500,
    )


def scenes_tiny() -> TrainConfig:
    """A tiny version of `scenes` for tests: a step takes milliseconds, and the model learns next to nothing.

    Its time law is wider, so that a few steps cover all times.
    """
    full = scenes()
    return dataclasses.replace(
        full,
        recipe="scenes-tiny",
        model=dataclasses.replace(
            full.model,
            backbone=DualStream(hidden_width=32, num_heads=2, depth=3, patch_size=2, layers="scan"),
            adapter=TransformerAdapter(num_blocks=1, num_heads=2),
            text_encoders=(HashEncoder(num_tokens=32, width=32),),
            autoencoder=PatchAutoencoder(factor=8),
            flow=RectifiedFlow(mu=-1.3, sigma=1.2, prediction="x"),
        ),
        data=DataConfig(sources=(ScenesSource(num_records=1000),), resolution=64),
        optimizer=Adam(),
        schedule=Constant(lr=1e-3),
        batch_size=4,
        steps=20,
        checkpoints=Checkpointing(every=10),
        loggers=(full.loggers[0], TensorBoard(every=1)),
        preview_prompts=PREVIEW_PROMPTS[:2],
        sampling=SamplingDefaults(
            num_inference_steps=4,
            guidance_scale=2.0,
            time_grid={"component": "shifted", "shift": 1.0},
            guidance={"component": "cfg", "rescale": 0.0},
        ),
    )
