"""The recipe for a captioned image folder."""

from __future__ import annotations

import dataclasses

from i1_data.config import DataConfig
from i1_data.sources.image_folder import ImageFolderSource

from i1_train.config import TrainConfig
from i1_train.recipes.scenes import scenes
from i1_train.schedules import WarmupStableDecay


def folder() -> TrainConfig:
    """A model of the size of `scenes`, on your own images: `--set data.sources.0.root=FOLDER`."""
    return dataclasses.replace(
        scenes(),
        recipe="folder",
        data=DataConfig(sources=(ImageFolderSource(root="images"),), resolution=64),
        schedule=WarmupStableDecay(lr=1e-3, warmup=200, decay=0.2, final_lr=1e-5),
        steps=10_000,
        preview_prompts=(),
    )
