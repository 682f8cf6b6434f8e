"""The held-out loss: on images that are not trained on, at fixed times and with fixed noise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import cast

import jax
import jax.numpy as jnp
from i1_data.config import DataConfig
from i1_data.pipeline import make_batches

from i1_train.config import TrainConfig
from i1_train.devices.placement import Placement
from i1_train.monitoring.measures import HELD_OUT
from i1_train.parameters import Params
from i1_train.parts import Parts
from i1_train.state import Batch, Constants, HostBatch, State, StepMetrics
from i1_train.step import encode_captions, encode_images

SEED = 2**31 - 1
"""Seed of the order of the images, their captions, latents and noise, whatever the seed of the run."""

Evaluation = Callable[[State, Constants], StepMetrics]


def make_evaluation(config: TrainConfig, parts: Parts, placement: Placement) -> Evaluation | None:
    """Reads the held-out images and returns the function `(state, constants) -> metrics`.

    It measures the averaged parameters: `held_out/loss`, and `held_out/time_T` for every time. Like a step it
    returns at once, before the device has computed anything.

    Args:
        config: the recipe.
        parts: its objects.
        placement: the sharding of batches.

    Returns:
        `None` when the recipe holds nothing out.

    Raises:
        UserError: for sources that cannot be read.
    """
    if not config.held_out.sources:
        return None
    times = jnp.asarray(config.held_out.times, jnp.float32)
    batches: list[Batch] = [
        placement.put_batch({"image": batch["image"], "tokens": batch["tokens"]})
        for batch in read_batches(config, parts, placement.rows)
    ]

    @functools.partial(jax.jit, out_shardings=placement.scalar)
    def losses_of(params: Params, constants: Constants, batch: Batch, key: jax.Array) -> jax.Array:
        """Returns the mean loss of a batch at every time, (T,)."""
        flow, objective = config.model.flow, config.objective
        captions, masks = encode_captions(parts, constants["text"], batch["tokens"])
        latents = encode_images(parts, constants["autoencoder"], batch, jax.random.fold_in(key, 0))
        denoiser = parts.network.denoiser(params)

        def at(time: jax.Array) -> jax.Array:
            t = jnp.broadcast_to(time, latents.shape[:1])
            example = objective.draw_at(flow, jax.random.fold_in(key, 1), latents, t)
            prediction = denoiser(example["noisy"], t, captions, masks)
            return jnp.mean(objective.losses(flow, prediction, example))

        return jax.lax.map(at, times)

    def evaluate(state: State, constants: Constants) -> StepMetrics:
        params = {**constants["base"], **state["params"], **state["ema"]}
        key = jax.random.key(SEED)
        rows = [
            losses_of(params, constants, batch, jax.random.fold_in(key, index))
            for index, batch in enumerate(batches)
        ]
        means = jnp.mean(jnp.stack(rows), axis=0)
        by_time = {f"held_out/time_{t:g}": means[i] for i, t in enumerate(config.held_out.times)}
        return {HELD_OUT: jnp.mean(means), **by_time}

    return evaluate


def read_batches(config: TrainConfig, parts: Parts, rows: Sequence[int]) -> list[HostBatch]:
    """Reads these rows of every batch of held-out images into memory."""
    data = DataConfig(
        sources=config.held_out.sources,
        resolution=config.data.resolution,
        captioner=config.data.captioner,
        num_threads=0,
    )
    batches = make_batches(
        data,
        batch_size=config.batch_size,
        seed=SEED,
        tokenize=parts.tokenize,
        rows=rows,
    )
    try:
        return [
            cast("HostBatch", next(batches))
            for _ in range(-(-config.held_out.num_images // config.batch_size))
        ]
    finally:
        batches.close()
