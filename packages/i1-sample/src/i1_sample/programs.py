"""The compiled parts of sampling: pure functions of arrays, one compilation each."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks import UserError
from i1_model.arrays.loading import Sharding
from i1_model.autoencoders import Autoencoder
from i1_model.config import ModelConfig
from i1_model.denoiser import Denoiser, init_denoiser
from i1_model.ops.target import active_platform, compiler_options
from i1_model.text_encoders import TextEncoder

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.progress import loading_bar
from i1_sample.solvers.base import SolverConfig


class Programs:
    """Everything that is compiled for one model configuration; parameters are arguments.

    Args:
        config: the model. Its frozen encoders and autoencoder are built when first used.
        abstract: whether their arrays are replaced by shapes, for programs that are compiled alone.
        sharding: where each of their arrays goes; None is the default device.

    Attributes:
        encode: embeds prompts, see `_encode`.
        condition: adapts their embeddings, see `_condition`.
        select: takes rows of a conditioning, see `_select`.
        start: draws noise, see `_start`.
        step: advances a batch, see `_step`.
        decode: turns latents into pixels, see `_decode`.
    """

    def __init__(
        self, config: ModelConfig, *, abstract: bool = False, sharding: Sharding | None = None
    ) -> None:
        self.config = config
        self._abstract = abstract
        self._sharding = sharding
        self._text_encoders: list[TextEncoder] | None = None
        options = compiler_options()
        self.encode = jax.jit(self._encode, compiler_options=options)
        self.condition = jax.jit(self._condition, static_argnums=(3, 4), compiler_options=options)
        self.select = jax.jit(self._select)
        self.start = jax.jit(self._start, static_argnums=(2, 3))
        self.step = jax.jit(self._step, static_argnums=(7, 8), compiler_options=options)
        self.decode = jax.jit(self._decode, compiler_options=options)

    def build(self) -> None:
        """Reads the frozen parts now instead of at their first use."""
        _ = self.text_encoders, self.autoencoder

    @property
    def text_encoders(self) -> list[TextEncoder]:
        """The frozen text encoders, with their weights."""
        if self._text_encoders is None:
            self._text_encoders = [
                self._frozen("text encoder", encoder) for encoder in self.config.text_encoders
            ]
        return self._text_encoders

    @property
    def encoder_params(self) -> list[Any]:
        """The text encoders' arrays."""
        return [encoder.params for encoder in self.text_encoders]

    def release_text_encoders(self) -> None:
        """Lets go of the text encoders and their arrays until they are used again."""
        self._text_encoders = None

    @functools.cached_property
    def autoencoder(self) -> Autoencoder:
        """The frozen autoencoder, with its weights."""
        return self._frozen("autoencoder", self.config.autoencoder)

    def _frozen(self, kind: str, config: Any) -> Any:
        if self._abstract:
            return config.build_abstract()
        name = getattr(config, "repository", type(config).__name__)
        with loading_bar(f"{kind} {name}") as progress:
            return config.build_with(sharding=self._sharding, progress=progress)

    @functools.cached_property
    def _shapes(self) -> tuple[Any, Any]:
        """The denoiser's graph and the shapes of its parameters."""
        config = _in_little_memory(self.config)
        return jax.eval_shape(lambda: nnx.split(init_denoiser(config, jax.random.key(0))))

    def init(self, key: jax.Array) -> Any:
        """Returns fresh parameters of the denoiser; for their shapes."""
        return nnx.split(init_denoiser(self.config, key))[1]

    def picture_size(self, height: int | None, width: int | None) -> tuple[int, int]:
        """Returns the pixels of a picture's sides, checked; None is the model's resolution.

        Raises:
            UserError: for a side that is no multiple of a patch, or a backbone that is made for one size.
        """
        config, unit = self.config, self.config.size_unit
        for name, side in (("height", height), ("width", width)):
            if side is None:
                continue
            if not isinstance(side, int) or isinstance(side, bool) or side < 1 or side % unit:
                raise UserError(f"{name} {side!r}: use a positive multiple of {unit}")
        size = (height or config.resolution, width or config.resolution)
        if size != (config.resolution, config.resolution):

            def attempt(params: Any) -> None:
                self._denoiser(params, self._latent_size(size))

            jax.eval_shape(attempt, self._shapes[1])
        return size

    def _latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        factor = self.config.autoencoder.factor
        return size[0] // factor, size[1] // factor

    def _denoiser(self, params: Any, latent_size: tuple[int, int]) -> Denoiser:
        denoiser = nnx.merge(self._shapes[0], params)
        denoiser.set_size(*latent_size)
        return denoiser

    def tokenize(self, prompts: Sequence[str]) -> list[dict[str, np.ndarray]]:
        """Returns the host-side tokens of every text encoder.

        Raises:
            UserError: for a prompt that an encoder refuses.
        """
        return [encoder.tokenize(prompts) for encoder in self.text_encoders]

    def _encode(self, encoder_params: Any, tokens: Sequence[Mapping[str, Any]]) -> list[jax.Array]:
        """Returns the embeddings (P, T, W) of P prompts by every text encoder.

        Args:
            encoder_params: the text encoders'.
            tokens: what `tokenize` returned.
        """
        return [
            encoder.encode(frozen, of_encoder)
            for encoder, frozen, of_encoder in zip(self.text_encoders, encoder_params, tokens, strict=True)
        ]

    def _condition(
        self, params: Any, captions: list[jax.Array], masks: list[Any], guided: bool, size: tuple[int, int]
    ) -> Any:
        """Adapts P encoded prompts.

        Args:
            params: the denoiser's.
            captions: what `encode` returned.
            masks: (P, T) bool of every text encoder.
            guided: whether the unconditional branch follows, with the null captions and the prompts' masks.
            size: height and width of the pictures in pixels, for the positions of their tokens.

        Returns:
            A conditioning of P rows, or 2P when guided.
        """
        masks = [jnp.asarray(mask, bool) for mask in masks]
        denoiser = self._denoiser(params, self._latent_size(size))
        if not guided:
            return denoiser.condition(captions, masks)
        num_prompts = masks[0].shape[0]
        drop = jnp.arange(2 * num_prompts) >= num_prompts
        twice = [jnp.concatenate([a, a]) for a in (*captions, *masks)]
        return denoiser.condition(twice[: len(captions)], twice[len(captions) :], [drop] * len(captions))

    def _select(self, conditioning: Any, rows: Any) -> Any:
        """Returns rows of a conditioning, one per image."""
        return jax.tree.map(lambda array: array[rows], conditioning)

    def _start(
        self, seed: Any, indices: Any, solver: SolverConfig, size: tuple[int, int]
    ) -> tuple[jax.Array, Any]:
        """Returns the noise of images and the solver's first carry.

        Args:
            seed: uint32 scalar.
            indices: (B,) uint32; the noise of image k is `normal(fold_in(key(seed), k))`, whatever the batch.
            solver: the solver.
            size: height and width of the pictures in pixels.
        """
        key = jax.random.key(seed)
        shape = (*self._latent_size(size), self.config.autoencoder.channels)
        draw = functools.partial(jax.random.normal, shape=shape, dtype=jnp.float32)
        noise = jax.vmap(lambda index: draw(jax.random.fold_in(key, index)))(indices)
        return noise, solver.init(noise)

    def _step(
        self,
        params: Any,
        conditioning: Any,
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
            params: the denoiser's.
            conditioning: B rows, or 2B when there is a guidance.
            x: (B, H, W, C) latents at t, of any size that the backbone can take.
            carry: the solver's.
            t: float32 scalar.
            t_next: float32 scalar.
            scale: float32 scalar, the guidance's.
            solver: the solver.
            guidance: combines the halves of 2B rows; `None` leaves the conditional velocity alone.

        Returns:
            Latents at t_next and the next carry.
        """
        denoiser, flow = self._denoiser(params, (x.shape[1], x.shape[2])), self.config.flow

        def predict(x: jax.Array, t: jax.Array) -> jax.Array:
            times = jnp.full(x.shape[:1], t, jnp.float32)
            return flow.velocity(denoiser.denoise(x, times, conditioning), x, times)

        def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
            if guidance is None:
                return predict(x, t)
            conditional, unconditional = jnp.split(predict(jnp.concatenate([x, x]), t), 2)
            return guidance.combine(conditional, unconditional, scale, t)

        return solver.step(velocity, x, carry, t, t_next)

    def _decode(self, autoencoder_params: Any, latents: jax.Array) -> jax.Array:
        """Returns (B, H, W, 3) uint8 pixels: `x / 2 + 0.5`, clipped to [0, 1], rounded to 255 levels."""
        images = self.autoencoder.decode(autoencoder_params, latents)
        return jnp.round(jnp.clip(images / 2 + 0.5, 0.0, 1.0) * 255).astype(jnp.uint8)


def _in_little_memory(config: ModelConfig) -> ModelConfig:
    """Returns the configuration that computes the same and keeps bfloat16 weights as they are on a CPU."""
    backbone: Any = config.backbone
    if active_platform() != "cpu" or config.compute_dtype != "bfloat16" or not hasattr(backbone, "layers"):
        return config
    return dataclasses.replace(config, backbone=dataclasses.replace(backbone, layers="loop"))
