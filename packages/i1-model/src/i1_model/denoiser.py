"""The trained network: adapters, null captions and backbone."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from i1_hooks.returned import describe, wrong_return
from jax import Array
from jaxtyping import Bool, Float, Num

from i1_model.adapters.base import Adapter
from i1_model.backbones.base import Backbone, Conditioning
from i1_model.config import ModelConfig


class Denoiser(nnx.Module):
    """Predicts the flow target from noisy latents, time and encoded captions.

    Training calls it as a whole. Sampling calls `condition` once per prompt and `denoise` once per step. The
    shapes and dtypes that components return are checked while it is traced.

    Args:
        config: the model.
        key: random key of all parameters, which are float32.

    Raises:
        UserError: for sizes that do not fit together, or a component that returns something else than its
            contract says.
    """

    def __init__(self, config: ModelConfig, key: Array) -> None:
        key_backbone, key_text = jax.random.split(key)
        self.config = config
        self.compute_dtype = config.compute_dtype
        self.size = config.latent_shape[:2]
        self.backbone = config.backbone.build(config.latent_spec, key_backbone)
        if not isinstance(self.backbone, Backbone):
            raise wrong_return(config.backbone, "build(...)", self.backbone, "a Backbone")
        adapters, null_captions = [], []
        for index, encoder in enumerate(config.text_encoders):
            key_adapter, key_null = jax.random.split(jax.random.fold_in(key_text, index))
            adapter = config.adapter.build(encoder.width, config.backbone.hidden_width, key_adapter)
            if not isinstance(adapter, Adapter):
                raise wrong_return(config.adapter, "build(...)", adapter, "an Adapter")
            adapters.append(adapter)
            shape = (1, encoder.num_tokens, encoder.width)
            null = encoder.width**-0.5 * jax.random.normal(key_null, shape, jnp.float32)
            null_captions.append(nnx.Param(null))
        self.adapters = nnx.List(adapters)
        self.null_captions = nnx.List(null_captions)

    def set_size(self, height: int, width: int) -> None:
        """Changes the size of the latents that this module takes, and the positions with it.

        It changes the module itself: call it on one that the same function has just merged. The size that the
        module already has changes nothing.

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
        self,
        captions: Sequence[Float[Array, "B _ _"]],
        masks: Sequence[Num[Array, "B _"] | Bool[Array, "B _"]],
        drop: Sequence[Bool[Array, " B"]] | None = None,
        lengths: Sequence[int] | None = None,
    ) -> Conditioning:
        """Adapts encoded captions; everything that depends on the text alone happens here.

        Args:
            captions: per text encoder, its output (B, T, W).
            masks: per text encoder, the valid tokens (B, T) bool.
            drop: per text encoder, the rows (B,) bool that get the null caption; their mask stays. None drops
                none.
            lengths: per text encoder, how many of its adapted tokens the backbone gets, from the first; the
                others must be padding. None gives all.

        Raises:
            UserError: for another number of arrays than the model has text encoders, or a component that
                returned a wrong shape or dtype.
        """
        num_encoders = len(self.adapters)
        inputs = {"captions": captions, "masks": masks, "drop": drop, "lengths": lengths}
        for name, given in inputs.items():
            if given is not None and len(given) != num_encoders:
                raise UserError(f"{name}: got {len(given)} for a model with {num_encoders} text encoders")
        adapted = []
        for index, (caption, mask) in enumerate(zip(captions, masks, strict=True)):
            self._check_caption(index, caption, mask, batch=captions[0].shape[0])
            tokens = caption.astype(self.compute_dtype)
            if drop is not None:
                null = self.null_captions[index][...].astype(self.compute_dtype)
                tokens = jnp.where(drop[index][:, None, None], null, tokens)
            adapted.append(self._adapt(index, tokens, mask.astype(bool)))
        if lengths is not None:
            adapted = [tokens[:, :length] for tokens, length in zip(adapted, lengths, strict=True)]
            masks = [mask[:, :length] for mask, length in zip(masks, lengths, strict=True)]
        tokens = jnp.concatenate(adapted, axis=1)
        conditioning = self.backbone.condition(
            tokens, jnp.concatenate([mask.astype(bool) for mask in masks], axis=1)
        )
        self._check_conditioning(conditioning, batch=tokens.shape[0])
        return conditioning

    def _check_caption(self, index: int, caption: Array, mask: Array, *, batch: int) -> None:
        encoder = self.config.text_encoders[index]
        shape = (batch, encoder.num_tokens, encoder.width)
        if caption.shape != shape or not jnp.issubdtype(caption.dtype, jnp.floating):
            raise wrong_return(encoder, "encode(...)", caption, f"float32 {shape}")
        if mask.shape != shape[:2]:
            raise wrong_return(encoder, "tokenize(...)['mask']", mask, f"bool {shape[:2]}")

    def _adapt(self, index: int, tokens: Array, mask: Array) -> Array:
        adapted = self.adapters[index](tokens, mask)
        shape = (*tokens.shape[:2], self.config.backbone.hidden_width)
        if not _is_array(adapted, shape, tokens.dtype):
            raise wrong_return(
                self.config.adapter, "__call__(tokens, mask)", adapted, f"{tokens.dtype.name} {shape}"
            )
        return adapted

    def _check_conditioning(self, conditioning: Conditioning, *, batch: int) -> None:
        config, call = self.config.backbone, "condition(tokens, mask)"
        if not isinstance(conditioning, Conditioning):
            raise wrong_return(config, call, conditioning, "a Conditioning")
        for leaf in jax.tree.leaves(conditioning):
            if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != batch:
                raise wrong_return(config, call, leaf, f"arrays whose first axis is the batch of {batch}")

    def denoise(
        self, latents: Num[Array, "B H W C"], time: Num[Array, " B"], conditioning: Conditioning
    ) -> Float[Array, "B H W C"]:
        """Predicts the flow target.

        Args:
            latents: (B, H, W, C), the noisy latents `x_t`.
            time: (B,), 0 noise to 1 data.
            conditioning: what `condition` returned.

        Returns:
            (B, H, W, C) float32.

        Raises:
            UserError: for latents of another size than the model's, or a backbone that returned a wrong shape
                or dtype.
        """
        shape = (latents.shape[0], *self.size, self.config.autoencoder.channels)
        if latents.shape != shape:
            raise UserError(
                f"latents are {describe(latents)} and this model takes {shape}: check the resolution, "
                "and the channels and factor that the configuration of the autoencoder states"
            )
        out = self.backbone(latents.astype(self.compute_dtype), time.astype(jnp.float32), conditioning)
        if not _is_array(out, shape, jnp.float32):
            call = "__call__(latents, time, conditioning)"
            raise wrong_return(self.config.backbone, call, out, f"float32 {shape}")
        return out

    def __call__(
        self,
        latents: Num[Array, "B H W C"],
        time: Num[Array, " B"],
        captions: Sequence[Float[Array, "B _ _"]],
        masks: Sequence[Num[Array, "B _"] | Bool[Array, "B _"]],
        drop: Sequence[Bool[Array, " B"]] | None = None,
    ) -> Float[Array, "B H W C"]:
        """Conditions and denoises; arguments and result as for `condition` and `denoise`."""
        return self.denoise(latents, time, self.condition(captions, masks, drop))


def _is_array(value: object, shape: tuple[int, ...], dtype: jnp.dtype | type) -> bool:
    return isinstance(value, Array) and value.shape == shape and value.dtype == dtype


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
        probability: `ModelConfig.null_caption_prob`: one number for one draw that all encoders share; a tuple
            for independent draws per encoder, from `split(key, num_encoders)`.
        batch: number of rows.
        num_encoders: number of text encoders.

    Returns:
        per encoder (B,) bool, the `drop` of `Denoiser.condition`.
    """
    if not isinstance(probability, tuple):
        return [jax.random.bernoulli(key, probability, (batch,))] * num_encoders
    keys = jax.random.split(key, num_encoders)
    return [jax.random.bernoulli(k, p, (batch,)) for k, p in zip(keys, probability, strict=True)]
