"""The loss on pictures that are not trained on, at fixed times and with fixed noise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from i1_data.config import DataConfig
from i1_data.pipeline import make_batches

from i1_train.config import TrainConfig
from i1_train.devices.placement import Placement
from i1_train.objectives import Example
from i1_train.parts import Parts
from i1_train.step import encode_captions, to_float

LOSS = "held_out/loss"
SEED = 2**31 - 1
"""Of the order of the pictures, their captions, latents and noise, whatever the run's seed."""

Measure = Callable[[Any, Any], dict[str, jax.Array]]


def make_held_out(config: TrainConfig, parts: Parts, placement: Placement) -> Measure | None:
    """Reads the held-out pictures and returns the function `(state, constants) -> metrics`.

    It measures the averaged weights: `held_out/loss`, and `held_out/time_T` for every time. Like a step it
    returns at once, before the device has computed anything.

    Args:
        config: the recipe.
        parts: the built objects.
        placement: where batches live.

    Returns:
        `None` when the recipe holds nothing out.

    Raises:
        UserError: for sources that cannot be read.
    """
    if not config.held_out.sources:
        return None
    times = jnp.asarray(config.held_out.times, jnp.float32)
    batches = [
        placement.put_batch({"image": batch["image"], "tokens": batch["tokens"]})
        for batch in read_batches(config, parts, placement.rows)
    ]

    @functools.partial(jax.jit, out_shardings=placement.scalar)
    def losses_of(state: Any, constants: Any, batch: Any, key: jax.Array) -> jax.Array:
        """Returns the mean loss (T,) of a batch at every time."""
        flow = config.model.flow
        captions, masks = encode_captions(parts, constants["text"], batch["tokens"])
        latents = parts.autoencoder.encode(
            constants["autoencoder"], to_float(batch["image"]), jax.random.fold_in(key, 0)
        )
        noise = jax.random.normal(jax.random.fold_in(key, 1), latents.shape, jnp.float32)
        denoiser = parts.network.denoiser({**constants["base"], **state["params"], **state["ema"]})

        def at(time: jax.Array) -> jax.Array:
            t = jnp.broadcast_to(time, latents.shape[:1])
            noisy = flow.interpolate(noise, latents, t)
            prediction = denoiser(noisy, t, captions, masks)
            example = Example(data=latents, noise=noise, time=t, noisy=noisy)
            return jnp.mean(config.objective.losses(flow, prediction, example))

        return jax.lax.map(at, times)

    def measure(state: Any, constants: Any) -> dict[str, jax.Array]:
        weights = {name: state[name] for name in ("params", "ema")}
        key = jax.random.key(SEED)
        rows = [
            losses_of(weights, constants, batch, jax.random.fold_in(key, index))
            for index, batch in enumerate(batches)
        ]
        means = jnp.mean(jnp.stack(rows), axis=0)
        by_time = {f"held_out/time_{t:g}": means[i] for i, t in enumerate(config.held_out.times)}
        return {LOSS: jnp.mean(means), **by_time}

    return measure


def read_batches(config: TrainConfig, parts: Parts, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Reads these rows of each batch of held-out pictures into memory."""
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
        return [next(batches) for _ in range(-(-config.held_out.num_images // config.batch_size))]
    finally:
        batches.close()
