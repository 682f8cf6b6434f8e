"""The pytrees that pass through the loop: training state, frozen arrays and batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NotRequired, TypedDict

import jax
import numpy as np
import optax

from i1_train.parameters import Params

Tokens = Mapping[str, jax.Array | np.ndarray]
"""What one text encoder tokenized, or a cached `embedding` (B, T, W) with its `mask`; leading dimension B."""


class State(TypedDict):
    """The training state; every step returns a new one, and checkpoints hold it.

    Attributes:
        params: trained and frozen parameters by path.
        ema: float32 average of the trained parameters by path.
        opt: state of the optimizer.
        step: number of finished steps, int32 scalar.
        loss_mean: running mean of the loss that the guard compares with, float32 scalar.
    """

    params: Params
    ema: Params
    opt: optax.OptState
    step: jax.Array
    loss_mean: jax.Array


class Constants(TypedDict):
    """What every step reads and none changes.

    Attributes:
        key: the run's random key.
        text: parameters of each text encoder.
        autoencoder: parameters of the autoencoder.
        base: frozen parameters below LoRA by path; empty without LoRA.
    """

    key: jax.Array
    text: tuple[object, ...]
    autoencoder: object
    base: Params


class HostBatch(TypedDict):
    """A batch of the data pipeline; on several hosts it holds this host's rows.

    Attributes:
        image: uint8 (B, H, W, 3).
        tokens: what each text encoder tokenized.
        key: keys of the records.
        caption: captions of the records.
    """

    image: np.ndarray
    tokens: tuple[Tokens, ...]
    key: list[str]
    caption: list[str]


class Batch(TypedDict):
    """What one step trains on: images or cached latents, and what each text encoder tokenized.

    Attributes:
        image: uint8 (B, H, W, 3).
        latents: float32 (B, h, w, C), in place of `image`.
        tokens: one mapping per text encoder.
    """

    image: NotRequired[jax.Array | np.ndarray]
    latents: NotRequired[jax.Array | np.ndarray]
    tokens: tuple[Tokens, ...]


ShapesByPath = Mapping[str, jax.Array | jax.ShapeDtypeStruct]
"""Parameters by path, as arrays or as their shapes."""

StepMetrics = dict[str, jax.Array]
"""Float32 scalars by name."""

TrainStep = Callable[[State, Constants, Batch], tuple[State, StepMetrics]]
