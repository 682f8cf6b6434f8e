"""The stages of sampling, compiled for one model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from i1_hooks import UserError
from i1_model.arrays.loading import Sharding
from i1_model.autoencoders import Autoencoder
from i1_model.backbones.base import Conditioning
from i1_model.config import ModelConfig
from i1_model.denoiser import Denoiser, init_denoiser
from i1_model.ops.target import active_platform, compiler_options
from i1_model.text_encoders import TextEncoder

from i1_sample import stages
from i1_sample.guidances.base import GuidanceConfig
from i1_sample.progress import loading_bar
from i1_sample.solvers.base import SolverConfig


def compiled(*static: int, tuned: bool = True) -> Any:
    """Decorates a method of `Programs` that is compiled once for every instance.

    The compiled function belongs to the instance, so that the arrays which a method closes over are freed
    with it, and the target platform may differ between instances.

    Args:
        *static: positions of arguments that are part of the program, `self` not counted.
        tuned: whether the options of `i1_model.ops.target.compiler_options` apply.
    """

    def decorate(method: Any) -> Any:
        def compile_for(self: Programs) -> Any:
            options = compiler_options() if tuned else None
            return jax.jit(method.__get__(self), static_argnums=static, compiler_options=options)

        prop = functools.cached_property(compile_for)
        prop.__doc__ = method.__doc__
        return prop

    return decorate


class Programs:
    """The stages of sampling for one model configuration; parameters are arguments.

    Args:
        config: the model. Its frozen encoders and autoencoder are built when first used.
        abstract: whether their arrays are replaced by shapes, for programs that are compiled alone.
        sharding: where each of their arrays goes; None is the default device.
    """

    def __init__(
        self, config: ModelConfig, *, abstract: bool = False, sharding: Sharding | None = None
    ) -> None:
        self.config = config
        self._abstract = abstract
        self._sharding = sharding
        self._text_encoders: list[TextEncoder] | None = None

    def tokenize(self, prompts: Sequence[str]) -> list[dict[str, np.ndarray]]:
        """Returns the host-side tokens of every text encoder.

        Raises:
            UserError: for a prompt that an encoder refuses.
        """
        return [encoder.tokenize(prompts) for encoder in self.text_encoders]

    @compiled()
    def encode(self, encoder_params: Any, tokens: Sequence[Mapping[str, Any]]) -> list[jax.Array]:
        """Embeds prompts, see `stages.encode_prompts`."""
        return stages.encode_prompts(self.text_encoders, encoder_params, tokens)

    @compiled(3, 4, 6)
    def condition(
        self,
        params: Any,
        captions: Sequence[jax.Array],
        masks: Sequence[Any],
        guided: bool,
        size: tuple[int, int],
        negatives: stages.Negatives | None = None,
        lengths: tuple[int, ...] | None = None,
    ) -> Conditioning:
        """Adapts their embeddings, see `stages.condition_prompts`; `size` is that of the pictures."""
        denoiser = self._denoiser(params, self._latent_size(size))
        return stages.condition_prompts(
            denoiser, captions, masks, guided=guided, negatives=negatives, lengths=lengths
        )

    @compiled(tuned=False)
    def select(self, conditioning: Conditioning, rows: Any) -> Conditioning:
        """Takes rows of a conditioning, see `stages.select_rows`."""
        return stages.select_rows(conditioning, rows)

    @compiled(2, 3, tuned=False)
    def start(
        self, seed: Any, indices: Any, solver: SolverConfig, size: tuple[int, int]
    ) -> tuple[jax.Array, Any]:
        """Draws the noise of pictures of a size and the solver's first carry, see `stages.draw_noise`."""
        shape = (*self._latent_size(size), self.config.autoencoder.channels)
        noise = stages.draw_noise(seed, indices, shape)
        return noise, solver.init(noise)

    @compiled(7, 8)
    def step(
        self,
        params: Any,
        conditioning: Conditioning,
        x: jax.Array,
        carry: Any,
        t: Any,
        t_next: Any,
        scale: Any,
        solver: SolverConfig,
        guidance: GuidanceConfig | None,
    ) -> tuple[jax.Array, Any]:
        """Advances a batch, see `stages.advance`."""
        denoiser = self._denoiser(params, (x.shape[1], x.shape[2]))
        flow = self.config.flow
        return stages.advance(denoiser, flow, conditioning, x, carry, t, t_next, scale, solver, guidance)

    @compiled()
    def encode_image(self, autoencoder_params: Any, pixels: jax.Array) -> jax.Array:
        """Turns pixels (B, H, W, 3) in [-1, 1] into latents, the mode of the autoencoder."""
        return self.autoencoder.encode(autoencoder_params, pixels)

    @compiled(tuned=False)
    def mix(self, x: jax.Array, noise: jax.Array, clean: jax.Array, repaint: Any, t: Any) -> jax.Array:
        """Keeps the source where it is not painted anew, see `stages.mix_source`."""
        return stages.mix_source(self.config.flow, x, noise, clean, repaint, t)

    @compiled()
    def decode(self, autoencoder_params: Any, latents: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Turns latents into pixels, see `stages.decode_latents`."""
        return stages.decode_latents(self.autoencoder, autoencoder_params, latents)

    def build(self) -> None:
        """Reads the frozen parts now instead of at their first use."""
        _ = self.text_encoders, self.autoencoder

    @property
    def text_encoders(self) -> list[TextEncoder]:
        """The frozen text encoders, with their arrays."""
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
        """The frozen autoencoder, with its arrays."""
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
            UserError: for a side that is not a multiple of a patch, or a backbone that is made for one size.
        """
        config, unit = self.config, self.config.size_unit
        for name, side in (("height", height), ("width", width)):
            if side is not None and (side < 1 or side % unit):
                raise UserError(f"{name} {side!r}: use a positive multiple of {unit}")
        size = (height or config.resolution, width or config.resolution)
        if size != (config.resolution, config.resolution):

            def attempt(params: Any) -> None:
                self._denoiser(params, self._latent_size(size))

            jax.eval_shape(attempt, self._shapes[1])
        return size

    def check_noise(self, latents: Any, num_images: int, size: tuple[int, int]) -> np.ndarray:
        """Returns given noise as float32.

        Raises:
            UserError: unless it is finite and has the shape of the latents of so many pictures.
        """
        shape = (num_images, *self._latent_size(size), self.config.autoencoder.channels)
        noise = np.asarray(latents)
        if noise.shape != shape or not np.issubdtype(noise.dtype, np.floating):
            raise UserError(f"latents are {noise.dtype} {noise.shape}; expected float32 {shape}")
        if not np.isfinite(noise).all():
            raise UserError("latents hold values that are not finite; give finite noise")
        return noise.astype(np.float32)

    def _latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        factor = self.config.autoencoder.factor
        return size[0] // factor, size[1] // factor

    def _denoiser(self, params: Any, latent_size: tuple[int, int]) -> Denoiser:
        denoiser = nnx.merge(self._shapes[0], params)
        denoiser.set_size(*latent_size)
        return denoiser


def _in_little_memory(config: ModelConfig) -> ModelConfig:
    """Returns the configuration that computes the same and keeps bfloat16 weights as they are on a CPU."""
    backbone: Any = config.backbone
    if active_platform() != "cpu" or config.compute_dtype != "bfloat16" or not hasattr(backbone, "layers"):
        return config
    return dataclasses.replace(config, backbone=dataclasses.replace(backbone, layers="loop"))
