"""Recipes that fine-tune trained weights on a captioned image folder."""

from __future__ import annotations

import dataclasses

from i1_data.buckets import aspect_buckets
from i1_data.config import DataConfig
from i1_data.sources.image_folder import ImageFolderSource
from i1_model.autoencoders.flux import Flux2Autoencoder
from i1_model.lora.config import Lora
from i1_model.sizes import model_config
from i1_model.text_encoders.t5gemma import T5GemmaEncoder

from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.config import Average, InitFrom, TrainConfig
from i1_train.loggers.jsonl import Jsonl
from i1_train.recipes.scenes import scenes
from i1_train.schedules import WarmupStableDecay


def lora() -> TrainConfig:
    """LoRA on i1-3B at about 1024 x 1024 pixels, for one GPU of 24 GB.

    `--init-from D` names the weights (a model folder or a released checkpoint), and `--set
    data.sources.0.root=D` the images. The frozen encoders are read from `--set model.text_encoders.0.path=D`
    and `--set model.autoencoder.path=D`.

    Autoencoder and network process one image at a time, the blocks are recomputed in the backward pass, and
    the frozen matrices are bfloat16; `--set lora.quantization=int8` or `nf4` makes them smaller still.
    """
    model = model_config(
        "i1-3B",
        text_encoders=(T5GemmaEncoder(),),
        autoencoder=Flux2Autoencoder(slicing=True),
        resolution=1024,
    )
    backbone = dataclasses.replace(model.backbone, layers="scan", remat="full")
    return TrainConfig(
        recipe="finetune-lora",
        model=dataclasses.replace(model, backbone=backbone, compute_dtype="bfloat16"),
        data=DataConfig(
            sources=(ImageFolderSource(root="images"),), resolution=1024, buckets=aspect_buckets(1024)
        ),
        schedule=_schedule(1e-4),
        batch_size=4,
        grad_accumulation=4,
        steps=1000,
        average=Average(decay=0.99, warmup=True),
        start=InitFrom(weights="i1-3B"),
        lora=Lora(rank=16),
        checkpoints=Checkpointing(every=250, keep=4),
    )


def full() -> TrainConfig:
    """Full fine-tuning of i1-3B, for machines that hold its parameters with their moments and average."""
    small = lora()
    return dataclasses.replace(
        small,
        recipe="finetune-full",
        model=dataclasses.replace(small.model, autoencoder=Flux2Autoencoder()),
        lora=Lora(),
        schedule=_schedule(1e-5),
        batch_size=16,
        grad_accumulation=1,
        average=Average(decay=0.999, warmup=True),
        checkpoints=Checkpointing(every=250, keep=2),
    )


def _schedule(lr: float) -> WarmupStableDecay:
    return WarmupStableDecay(lr=lr, warmup=50, decay=0.2, final_lr=lr / 100)


def scenes_lora() -> TrainConfig:
    """LoRA on the embedded model with images of about 64 x 64 pixels, on a CPU.

    With half the learning rate, as many steps do not learn the new colour of `examples/finetune.py`.
    """
    pretrained = scenes()
    return dataclasses.replace(
        pretrained,
        recipe="scenes-lora",
        data=DataConfig(
            sources=(ImageFolderSource(root="images"),), resolution=64, buckets=((64, 64), (80, 48), (48, 80))
        ),
        optimizer=lora().optimizer,
        schedule=WarmupStableDecay(lr=5e-4, warmup=20, decay=0.3, final_lr=2e-5),
        batch_size=8,
        steps=200,
        average=Average(decay=0.95, warmup=True),
        start=InitFrom(weights="scenes"),
        lora=Lora(rank=8, base_dtype="float32"),
        checkpoints=Checkpointing(every=100),
        preview_prompts=(),
        loggers=(Jsonl(),),
    )
