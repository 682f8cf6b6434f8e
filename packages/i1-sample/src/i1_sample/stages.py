"""The way of a prompt as pure functions: encode, condition, start, advance, decode.

`i1_sample.programs` compiles them for one model, and `i1_sample.running` calls them in this order.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from i1_model.autoencoders import Autoencoder
from i1_model.backbones.base import Conditioning
from i1_model.denoiser import Denoiser
from i1_model.flow import FlowConfig
from i1_model.text_encoders import TextEncoder

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.solvers.base import SolverConfig


def encode_prompts(
    encoders: Sequence[TextEncoder], encoder_params: Sequence[Any], tokens: Sequence[Mapping[str, Any]]
) -> list[jax.Array]:
    """Returns the embeddings (P, T, W) of P prompts by every text encoder.

    Args:
        encoders: the model's text encoders.
        encoder_params: the arrays of each.
        tokens: what `tokenize` of each returned.
    """
    return [
        encoder.encode(frozen, of_encoder)
        for encoder, frozen, of_encoder in zip(encoders, encoder_params, tokens, strict=True)
    ]


def condition_prompts(
    denoiser: Denoiser, captions: Sequence[jax.Array], masks: Sequence[Any], *, guided: bool
) -> Conditioning:
    """Adapts P encoded prompts.

    Args:
        denoiser: set to the size of the pictures, for the positions of their tokens.
        captions: what `encode_prompts` returned.
        masks: (P, T) bool of every text encoder.
        guided: whether the unconditional branch follows, with the null captions and the prompts' masks.

    Returns:
        A conditioning of P rows, or 2P when guided.
    """
    masks = [jnp.asarray(mask, bool) for mask in masks]
    if not guided:
        return denoiser.condition(captions, masks)
    num_prompts = masks[0].shape[0]
    drop = jnp.arange(2 * num_prompts) >= num_prompts
    twice = [jnp.concatenate([a, a]) for a in (*captions, *masks)]
    return denoiser.condition(twice[: len(captions)], twice[len(captions) :], [drop] * len(captions))


def select_rows(conditioning: Conditioning, rows: Any) -> Conditioning:
    """Returns rows of a conditioning, one per image."""
    return jax.tree.map(lambda array: array[rows], conditioning)


def draw_noise(seed: Any, indices: Any, shape: tuple[int, int, int]) -> jax.Array:
    """Returns the noise (B, h, w, C) of B images: of image k `normal(fold_in(key(seed), k))`.

    Args:
        seed: uint32 scalar.
        indices: (B,) uint32, the k of each row, so that noise does not depend on the batch.
        shape: of one image's latents, (h, w, C).
    """
    key = jax.random.key(seed)
    draw = functools.partial(jax.random.normal, shape=shape, dtype=jnp.float32)
    return jax.vmap(lambda index: draw(jax.random.fold_in(key, index)))(indices)


def advance(
    denoiser: Denoiser,
    flow: FlowConfig,
    conditioning: Conditioning,
    x: jax.Array,
    carry: Any,
    t: Any,
    t_next: Any,
    scale: Any,
    solver: SolverConfig,
    guidance: GuidanceConfig | None,
) -> tuple[jax.Array, Any]:
    """Advances B images by one step of the solver.

    Args:
        denoiser: set to the size of the latents.
        flow: what the denoiser's output stands for.
        conditioning: B rows, or 2B when there is a guidance.
        x: (B, h, w, C) latents at t.
        carry: the solver's.
        t: float32 scalar.
        t_next: float32 scalar.
        scale: float32 scalar, the guidance's.
        solver: the integrator.
        guidance: combines the halves of 2B rows; None leaves the conditional velocity alone.

    Returns:
        Latents at t_next and the next carry.
    """

    def predict(x: jax.Array, t: jax.Array) -> jax.Array:
        times = jnp.full(x.shape[:1], t, jnp.float32)
        return flow.velocity(denoiser.denoise(x, times, conditioning), x, times)

    def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
        if guidance is None:
            return predict(x, t)
        conditional, unconditional = jnp.split(predict(jnp.concatenate([x, x]), t), 2)
        return guidance.combine(conditional, unconditional, scale, t)

    return solver.step(velocity, x, carry, t, t_next)


def decode_latents(autoencoder: Autoencoder, autoencoder_params: Any, latents: jax.Array) -> jax.Array:
    """Returns (B, H, W, 3) uint8 pixels: `x / 2 + 0.5`, clipped to [0, 1], rounded to 255 levels."""
    images = autoencoder.decode(autoencoder_params, latents)
    return jnp.round(jnp.clip(images / 2 + 0.5, 0.0, 1.0) * 255).astype(jnp.uint8)
