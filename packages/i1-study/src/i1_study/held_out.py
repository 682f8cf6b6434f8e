"""The held-out loss: the velocity's squared error at fixed images, captions, times and noises."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_data.config import DataConfig
from i1_data.pipeline import make_batches
from i1_data.sources import SourceConfig
from i1_model.checkpoints.folder import load_model
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser

NUM_IMAGES = 256
TIMES = tuple((k + 0.5) / 8 for k in range(8))
"""Evenly spread, and all below the times at which the velocity of x-prediction is clamped."""
BATCH = 32
SEED = 0


def held_out_losses(model: str | os.PathLike[str], source: SourceConfig) -> np.ndarray:
    """Returns the loss of every held-out image, float64 (256,), each a mean over eight times.

    The velocity is data minus noise whatever the network predicts, so that models of different prediction
    targets and training times can be compared. Noise k of time j is the same for every model of one latent
    shape.

    Args:
        model: a model folder.
        source: captioned images.
    """
    loaded = load_model(model)
    config = loaded.config
    encoders = [encoder.build() for encoder in config.text_encoders]
    data = DataConfig(sources=(source,), resolution=config.resolution, num_threads=0)
    batches = make_batches(
        data,
        batch_size=BATCH,
        seed=SEED,
        tokenize=lambda captions: [encoder.tokenize(captions) for encoder in encoders],
    )
    losses = make_losses(config)
    frozen = ([encoder.params for encoder in encoders], config.autoencoder.build().params)
    rows = []
    try:
        for index in range(NUM_IMAGES // BATCH):
            batch = next(batches)
            key = jax.random.fold_in(jax.random.key(SEED), index)
            rows.append(np.asarray(losses(loaded.params, frozen, batch["image"], batch["tokens"], key)))
    finally:
        batches.close()
    return np.concatenate(rows).astype(np.float64)


def make_losses(config: ModelConfig) -> Any:
    """Returns the jitted losses (B,) of parameters, frozen parameters, images, tokens and key."""
    graph, _ = jax.eval_shape(lambda: nnx.split(init_denoiser(config, jax.random.key(0))))
    encoders = [encoder.build() for encoder in config.text_encoders]
    autoencoder = config.autoencoder.build()

    @jax.jit
    def losses(params: Any, frozen: Any, images: jax.Array, tokens: Any, key: jax.Array) -> jax.Array:
        text_params, autoencoder_params = frozen
        denoiser = nnx.merge(graph, params)
        pixels = images.astype(jnp.float32) / 255.0 * 2.0 - 1.0
        latents = autoencoder.encode(autoencoder_params, pixels, None)
        captions = [e.encode(p, t) for e, p, t in zip(encoders, text_params, tokens, strict=True)]
        conditioning = denoiser.condition(captions, [t["mask"] for t in tokens])

        def at(index: jax.Array) -> jax.Array:
            noise = jax.random.normal(jax.random.fold_in(key, index), latents.shape, jnp.float32)
            time = jnp.full(latents.shape[:1], jnp.asarray(TIMES, jnp.float32)[index])
            noisy = config.flow.interpolate(noise, latents, time)
            velocity = config.flow.velocity(denoiser.denoise(noisy, time, conditioning), noisy, time)
            return jnp.mean(jnp.square(velocity - (latents - noise)), axis=(1, 2, 3))

        return jnp.mean(jax.lax.map(at, jnp.arange(len(TIMES))), axis=0)

    return losses
