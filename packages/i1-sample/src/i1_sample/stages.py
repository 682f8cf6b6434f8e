"""The way of a prompt as pure functions: encode, condition, start, advance, decode.

`i1_sample.programs` compiles them for one model, and `i1_sample.running` calls them in this order.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from i1_model.autoencoders import Autoencoder
from i1_model.backbones.base import Conditioning
from i1_model.denoiser import Denoiser
from i1_model.flow import FlowConfig
from i1_model.text_encoders import TextEncoder

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.returned import checked_like, checked_step
from i1_sample.solvers.base import SolverConfig, Velocity


class Negatives(NamedTuple):
    """Encoded negative prompts, one per prompt.

    Attributes:
        captions: (P, T, W) of every text encoder.
        masks: (P, T) bool of every text encoder; those of the prompt where the negative prompt is null.
        is_null: (P,) bool, the rows that get the null caption.
    """

    captions: Sequence[jax.Array]
    masks: Sequence[Any]
    is_null: Any


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
    denoiser: Denoiser,
    captions: Sequence[jax.Array],
    masks: Sequence[Any],
    *,
    guided: bool,
    negatives: Negatives | None = None,
    lengths: tuple[int, ...] | None = None,
) -> Conditioning:
    """Adapts P encoded prompts.

    Args:
        denoiser: set to the size of the pictures, for the positions of their tokens.
        captions: what `encode_prompts` returned.
        masks: (P, T) bool of every text encoder.
        guided: whether the unconditional branch follows, with the null captions and the prompts' masks.
        negatives: encoded negative prompts, which replace the null captions of some rows.
        lengths: per text encoder, how many adapted tokens are kept; see `i1_sample.trimming`.

    Returns:
        A conditioning of P rows, or 2P when guided.
    """
    masks = [jnp.asarray(mask, bool) for mask in masks]
    if not guided:
        return denoiser.condition(captions, masks, lengths=lengths)
    num_prompts = masks[0].shape[0]
    if negatives is None:
        drop = jnp.arange(2 * num_prompts) >= num_prompts
        second = (*captions, *masks)
    else:
        drop = jnp.concatenate([jnp.zeros(num_prompts, bool), jnp.asarray(negatives.is_null, bool)])
        second = (*negatives.captions, *(jnp.asarray(mask, bool) for mask in negatives.masks))
    both = [jnp.concatenate(pair) for pair in zip((*captions, *masks), second, strict=True)]
    num = len(captions)
    return denoiser.condition(both[:num], both[num:], [drop] * num, lengths)


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


def mix_source(
    flow: FlowConfig, x: jax.Array, noise: jax.Array, clean: jax.Array, repaint: Any, t: Any
) -> jax.Array:
    """Returns latents x where they are painted anew, and the source at time t elsewhere.

    Args:
        flow: the path between noise and source.
        x: (B, h, w, C) latents at t.
        noise: (B, h, w, C) that each image started from.
        clean: (1, h, w, C) latents of the source.
        repaint: (h, w) bool.
        t: float32 scalar.
    """
    source = flow.join(jnp.broadcast_to(clean, x.shape), noise, t)
    return jnp.where(jnp.asarray(repaint)[None, :, :, None], x, source)


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
        combined = guidance.combine(conditional, unconditional, scale, t)
        return checked_like(guidance, "combine(...)", combined, conditional)

    return checked_step(solver, solver.step(Velocity(velocity, flow), x, carry, t, t_next), x, carry)


def decode_latents(
    autoencoder: Autoencoder, autoencoder_params: Any, latents: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns pixels, and whether those of each image are finite before they are rounded.

    Returns:
        (B, H, W, 3) uint8: `x / 2 + 0.5`, clipped to [0, 1], rounded to 255 levels; and (B,) bool.
    """
    images = autoencoder.decode(autoencoder_params, latents)
    pixels = jnp.round(jnp.clip(images / 2 + 0.5, 0.0, 1.0) * 255).astype(jnp.uint8)
    return pixels, jnp.isfinite(images).all(axis=(1, 2, 3))
