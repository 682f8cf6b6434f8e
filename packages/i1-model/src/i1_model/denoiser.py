"""The trained network: adapters, null captions and backbone."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from jax import Array

from i1_model.backbones.base import Conditioning
from i1_model.config import ModelConfig


class Denoiser(nnx.Module):
    """Predicts the flow target from noisy latents, time and encoded captions.

    Training calls it as a whole. Sampling calls `condition` once per prompt and `denoise` once per step.

    Args:
        config: the model.
        key: random key of all parameters, which are float32.
    """

    def __init__(self, config: ModelConfig, key: Array) -> None:
        key_backbone, key_text = jax.random.split(key)
        self.compute_dtype = config.compute_dtype
        self.size = config.latent_shape[:2]
        self.backbone = config.backbone.build(config.latent_spec, key_backbone)
        adapters, null_captions = [], []
        for index, encoder in enumerate(config.text_encoders):
            key_adapter, key_null = jax.random.split(jax.random.fold_in(key_text, index))
            adapters.append(config.adapter.build(encoder.width, config.backbone.hidden_width, key_adapter))
            shape = (1, encoder.num_tokens, encoder.width)
            null = encoder.width**-0.5 * jax.random.normal(key_null, shape, jnp.float32)
            null_captions.append(nnx.Param(null))
        self.adapters = nnx.List(adapters)
        self.null_captions = nnx.List(null_captions)

    def set_size(self, height: int, width: int) -> None:
        """Changes the size of the latents that this module is for, with positions for it.

        It changes the module itself: call it on one that the same function has just merged. Does nothing for
        the size that it has.

        Args:
            height: rows of the latent.
            width: columns of the latent.

        Raises:
            UserError: for a size that does not fit the backbone.
        """
        if (height, width) != self.size:
            self.backbone.set_size(height, width)
            self.size = (height, width)

    def condition(
        self, captions: Sequence[Array], masks: Sequence[Array], drop: Sequence[Array] | None = None
    ) -> Conditioning:
        """Adapts encoded captions; everything that depends on the text alone happens here.

        Args:
            captions: per text encoder, its output (B, T, W).
            masks: per text encoder, the valid tokens (B, T) bool.
            drop: per text encoder, the rows (B,) bool that get the null caption; their mask stays. None drops
                none.

        Raises:
            UserError: for another number of arrays than the model has text encoders.
        """
        num_encoders = len(self.adapters)
        for name, given in (("captions", captions), ("masks", masks), ("drop", drop)):
            if given is not None and len(given) != num_encoders:
                raise UserError(
                    f"{name}: got {len(given)} arrays for a model with {num_encoders} text encoders"
                )
        adapted = []
        for index, (caption, mask) in enumerate(zip(captions, masks, strict=True)):
            tokens = caption.astype(self.compute_dtype)
            if drop is not None:
                null = self.null_captions[index][...].astype(self.compute_dtype)
                tokens = jnp.where(drop[index][:, None, None], null, tokens)
            adapted.append(self.adapters[index](tokens, mask.astype(bool)))
        mask = jnp.concatenate([m.astype(bool) for m in masks], axis=1)
        return self.backbone.condition(jnp.concatenate(adapted, axis=1), mask)

    def denoise(self, latents: Array, time: Array, conditioning: Conditioning) -> Array:
        """Predicts the flow target.

        Args:
            latents: (B, H, W, C), the noisy latents `x_t`.
            time: (B,), 0 noise to 1 data.
            conditioning: what `condition` returned.

        Returns:
            (B, H, W, C) float32.
        """
        return self.backbone(latents.astype(self.compute_dtype), time.astype(jnp.float32), conditioning)

    def __call__(
        self,
        latents: Array,
        time: Array,
        captions: Sequence[Array],
        masks: Sequence[Array],
        drop: Sequence[Array] | None = None,
    ) -> Array:
        """Conditions and denoises; arguments and result as for `condition` and `denoise`."""
        return self.denoise(latents, time, self.condition(captions, masks, drop))


def init_denoiser(config: ModelConfig, key: Array) -> Denoiser:
    """Returns a fresh denoiser; works under `jax.jit` and `jax.eval_shape`.

    Example:
        `graphdef, params = nnx.split(init_denoiser(config, key))`, then in pure functions
        `nnx.merge(graphdef, params)(latents, time, captions, masks)`.
    """
    return Denoiser(config, key)


def draw_dropped(
    key: Array, probability: float | tuple[float, ...], batch: int, num_encoders: int
) -> list[Array]:
    """Draws the rows whose captions are replaced by null captions.

    Args:
        key: random key.
        probability: `ModelConfig.null_caption_prob`: one number is one draw shared by all encoders; a tuple
            is an independent draw per encoder, from `split(key, num_encoders)`.
        batch: number of rows.
        num_encoders: number of text encoders.

    Returns:
        per encoder (B,) bool, the `drop` of `Denoiser.condition`.
    """
    if not isinstance(probability, tuple):
        return [jax.random.bernoulli(key, probability, (batch,))] * num_encoders
    keys = jax.random.split(key, num_encoders)
    return [jax.random.bernoulli(k, p, (batch,)) for k, p in zip(keys, probability, strict=True)]
