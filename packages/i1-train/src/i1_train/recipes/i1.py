"""The recipes of i1: two sizes, each in three stages of rising resolution."""

from __future__ import annotations

from i1_data.config import DataConfig
from i1_data.filters import FilterConfig, MinSizeFilter
from i1_data.sources.tfrecord import TfrecordSource
from i1_model.autoencoders.flux import Flux2Autoencoder
from i1_model.sizes import model_config
from i1_model.text_encoders.t5gemma import T5GemmaEncoder

from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.config import Average, TrainConfig
from i1_train.devices.machines import Hardware
from i1_train.optimizers.adam import Adam
from i1_train.recipes.machines import machines
from i1_train.schedules import Constant

YFCC = "yfcc"
LARGE = ("flux-reason", "textatlas", "gpt-edit", "midjourney-v6", "redcaps")
"""Image sets with enough images of 1024 pixels."""
OTHERS = ("imagenet-22k", "renderedtext", "pexels", "places", "megalith")
SETS = {256: (YFCC, *LARGE, *OTHERS), 512: (*LARGE, *OTHERS), 1024: LARGE}
"""Image sets of each stage, visited equally often."""
STEPS = {256: 2_000_000, 512: 2_500_000, 1024: 2_800_000}
"""Number of steps at the end of each stage, counted over all stages."""
BATCH_SIZE = {256: 512, 512: 512, 1024: 128}
MAX_RECORDS = {256: 0, 512: 1_000_000, 1024: 1_000_000}
"""Number of images used of every set, 0 for all."""
ROOT = "data"


def stage(size: str, resolution: int) -> TrainConfig:
    """Returns one stage of a size.

    The weights of text encoder and autoencoder, and the image sets, are read from folders:
    `--set model.text_encoders.0.path=D`, `--set model.autoencoder.path=D`, `--set data.sources.0.root=D`.

    Args:
        size: one of `i1_model.sizes.NUM_HEADS`.
        resolution: 256, 512 or 1024.
    """
    name = f"{size.lower()}-{resolution}"
    model = model_config(
        size,
        text_encoders=(T5GemmaEncoder(),),
        autoencoder=Flux2Autoencoder(),
        resolution=resolution,
        compute_dtype="bfloat16",
    )
    return TrainConfig(
        recipe=name,
        model=model,
        data=data(resolution),
        optimizer=Adam(moment_dtype="bfloat16"),
        schedule=Constant(lr=1e-4),
        batch_size=BATCH_SIZE[resolution],
        steps=STEPS[resolution],
        average=Average(decay=0.9999),
        checkpoints=Checkpointing(every=5000, keep_every=50_000),
        hardware=Hardware(machines=machines(size, resolution)),
    )


def data(resolution: int) -> DataConfig:
    """Returns the image sets of a stage; from 512 pixels on, a million large enough images of each."""
    filters: tuple[FilterConfig, ...] = ()
    if resolution > 256:
        filters = (MinSizeFilter(shorter_edge=resolution),)
    return DataConfig(
        sources=tuple(TfrecordSource(root=f"{ROOT}/{name}") for name in SETS[resolution]),
        resolution=resolution,
        filters=filters,
        max_records=MAX_RECORDS[resolution],
        num_threads=8,
        prefetch=4,
    )


def i1_3b_256() -> TrainConfig:
    """First stage of i1-3B."""
    return stage("i1-3B", 256)


def i1_3b_512() -> TrainConfig:
    """Second stage of i1-3B."""
    return stage("i1-3B", 512)


def i1_3b_1024() -> TrainConfig:
    """Third stage of i1-3B."""
    return stage("i1-3B", 1024)


def i1_1b_256() -> TrainConfig:
    """First stage of i1-1B."""
    return stage("i1-1B", 256)


def i1_1b_512() -> TrainConfig:
    """Second stage of i1-1B."""
    return stage("i1-1B", 512)


def i1_1b_1024() -> TrainConfig:
    """Third stage of i1-1B."""
    return stage("i1-1B", 1024)
