"""The baseline of the published controlled experiments, at CPU size."""

from __future__ import annotations

import dataclasses

from i1_model.adapters.mlp import MLPAdapter
from i1_model.backbones.cross_attention import CrossAttention
from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.config import TrainConfig
from i1_train.loggers.jsonl import Jsonl
from i1_train.recipes.scenes import scenes
from i1_train.schedules import WarmupStableDecay


def baseline() -> TrainConfig:
    """Cross-attention, MLP adapter, AdaLN on time and pooled text, long skips, no sandwich norms.

    Text encoder, autoencoder, flow, data and optimizer are those of the recipe `scenes`; the published
    experiments have T5Gemma-2B, FLUX.2, velocity prediction, twelve data sets, and Adam at 1e-4 for 500,000
    steps.
    """
    full = scenes()
    model = dataclasses.replace(
        full.model,
        backbone=CrossAttention(
            hidden_width=128,
            num_heads=4,
            depth=5,
            patch_size=2,
            sandwich_norm=False,
            adaln="time_and_text",
        ),
        adapter=MLPAdapter(),
        compute_dtype="bfloat16",
    )
    return dataclasses.replace(
        full,
        recipe="study",
        model=model,
        schedule=WarmupStableDecay(lr=5e-3, warmup=100, decay=0.7, final_lr=2e-5),
        batch_size=32,
        steps=1000,
        checkpoints=Checkpointing(every=500, keep=1),
        loggers=(Jsonl(),),
        log_every=100,
        preview_prompts=(),
        sampling=dataclasses.replace(full.sampling, num_inference_steps=32),
    )
