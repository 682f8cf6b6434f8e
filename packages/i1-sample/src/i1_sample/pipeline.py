"""From prompts to pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from i1_hooks import UserError
from i1_model.arrays.dtypes import WeightDtype
from i1_model.arrays.loading import Sharding
from i1_model.checkpoints.folder import LoadedModel
from i1_model.sampling import Choice, read_sampling
from PIL import Image

from i1_sample.compilation_cache import enable_compilation_cache
from i1_sample.guidances.base import GuidanceConfig
from i1_sample.job import LARGEST_BATCH, Job, OutputType, SampleOptions, SampleOutput, StepEvent
from i1_sample.loading import find_parts
from i1_sample.loras import LoraChoice, LoraSetting, parse_lora
from i1_sample.programs import Programs
from i1_sample.rewriters.base import RewriterConfig
from i1_sample.running import run_job
from i1_sample.settings import (
    check_integer,
    choose,
    find_preset,
    resolve_settings,
)
from i1_sample.solvers.base import SolverConfig
from i1_sample.time_grids import TimeGridConfig

__all__ = ["Job", "Pipeline", "SampleOptions", "SampleOutput", "StepEvent"]


class Pipeline:
    """A model that makes pictures.

    Args:
        model: a loaded model.
        name: what metadata calls it.
        revision: the commit of its repository, for metadata.
        revisions: the commits of all repositories that its parts come from, for metadata.
        loras: what its parameters hold beside, for metadata.
        programs: compiled parts to share with another pipeline of the same configuration.
        load_params: reads the parameters where `model.params` is None.
        offload: whether text encoders are freed before denoising.

    Example:
        pipeline = Pipeline.from_pretrained("scenes")
        pipeline("a red circle above a blue square", seed=1).images[0].save("picture.png")
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        name: str = "model",
        revision: str | None = None,
        revisions: Mapping[str, str] | None = None,
        loras: Sequence[LoraSetting] = (),
        programs: Programs | None = None,
        load_params: Callable[[], Any] | None = None,
        offload: bool = False,
    ) -> None:
        self.config = model.config
        self.metadata = model.metadata
        self.name = name
        self.revision = revision
        self.revisions = dict(revisions or {})
        self.loras = tuple(loras)
        self.offload = offload
        self.programs = programs or Programs(model.config)
        self.defaults = read_sampling(model.metadata.get("sampling", {}))
        self._params = model.params
        self._load_params = load_params

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str],
        *,
        resolution: int | None = None,
        dtype: WeightDtype | None = None,
        text_encoder: str | os.PathLike[str] | None = None,
        vae: str | os.PathLike[str] | None = None,
        vae_tile: int | None = None,
        revision: str | None = None,
        offload: bool = False,
        loras: Sequence[LoraChoice] = (),
        sharding: Sharding | None = None,
    ) -> Pipeline:
        """Loads a model, and turns JAX's persistent compilation cache on.

        Parts are read one after the other, straight into their dtype and place; on a terminal a bar shows
        how far each is read.

        Args:
            model: a model folder, a training workdir (its newest checkpoint), a registered name, a folder in
                the layout of diffusers, a released checkpoint file or a folder of them, or a repository on
                the Hugging Face Hub such as `zlab-princeton/i1-3B`, which is downloaded into its cache.
            resolution: pixels, a multiple of 16 for i1; None is the model's own, the largest published one.
            dtype: of weights, activations and matrix products; by default those of the model's configuration,
                with weights in float32.
            text_encoder: folder or repository of the text encoder's weights; by default the model's own. A
                repository may have its revision behind an `@`, as that of the model may.
            vae: likewise of the autoencoder.
            vae_tile: pixels of the tiles that the autoencoder works by, which bounds its memory; None takes
                pictures as a whole.
            revision: of the model's repository; None takes that of `i1_model.checkpoints.hub.REVISIONS`,
                else `main`.
            offload: holds the weights of one part at a time: the text encoders are read first and freed
                before the denoiser is read, and read again by a later call.
            loras: LoRA files, folders or workdirs that are merged into the weights, each a path, or with its
                strength as `"path:0.8"` or a pair; several add up.
            sharding: where each array of the denoiser, the text encoders and the autoencoder goes, given its
                path and shape, such as `i1_model.ops.sharding.spread_over(jax.devices())`; None is one
                device.

        Raises:
            UserError: when there is no such model, its files do not fit, or a repository cannot be had.
        """
        settings = [parse_lora(lora) for lora in loras]
        parts = find_parts(
            model,
            resolution=resolution,
            dtype=dtype,
            text_encoder=text_encoder,
            vae=vae,
            vae_tile=vae_tile,
            revision=revision,
            loras=settings,
            sharding=sharding,
        )
        enable_compilation_cache()
        pipeline = cls(
            LoadedModel(parts.config, None if offload else parts.load_params(), parts.metadata),
            name=parts.name,
            revision=parts.revision,
            revisions=parts.revisions,
            loras=settings,
            programs=Programs(parts.config, sharding=sharding),
            load_params=parts.load_params,
            offload=offload,
        )
        if not offload:
            pipeline.programs.build()
        return pipeline

    @property
    def params(self) -> Any:
        """The denoiser's parameters, read at their first use."""
        if self._params is None and self._load_params is not None:
            self._params = self._load_params()
        return self._params

    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        output_type: OutputType = "pil",
        callback: Callable[[StepEvent], None] | None = None,
        **options: Unpack[SampleOptions],
    ) -> SampleOutput:
        """Makes pictures.

        Args:
            prompt: one or several.
            output_type: Pillow images, uint8 pixels, or latents.
            callback: called after every step of every batch; an exception it raises stops the call.
            **options: those of `plan`: steps, guidance, seed and so on.

        Raises:
            UserError: for an option of a wrong type, name or range, or a prompt that an encoder refuses.
        """
        if output_type not in ("pil", "np", "latent"):
            raise UserError(f"output_type {output_type!r}: choose pil, np or latent")
        job = self.plan(prompt, **options)
        finished: list[np.ndarray] = []
        for event in self.run(job):
            if callback is not None:
                callback(event)
            if event.is_last:
                finished.append(event.latents if output_type == "latent" else event.images())
        arrays = np.concatenate(finished)
        return SampleOutput([Image.fromarray(a) for a in arrays] if output_type == "pil" else arrays, job)

    def stream(self, prompt: str | Sequence[str], **options: Unpack[SampleOptions]) -> Iterator[StepEvent]:
        """Makes pictures step by step; leave the loop to cancel.

        Args:
            prompt: one or several.
            **options: those of `plan`.

        Returns:
            An iterator of events, batch after batch; an event that `is_last` holds finished pictures.

        Raises:
            UserError: at once, for what `plan` refuses.

        Example:
            for event in pipeline.stream("a star", num_inference_steps=20):
                preview = event.images()
        """
        return self.run(self.plan(prompt, **options))

    def plan(
        self,
        prompt: str | Sequence[str],
        *,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_rescale: float | None = None,
        shift: float | None = None,
        seed: int = 0,
        num_images_per_prompt: int = 1,
        batch_size: int | None = None,
        first_index: int = 0,
        height: int | None = None,
        width: int | None = None,
        solver: SolverConfig | Choice | None = None,
        time_grid: TimeGridConfig | Choice | None = None,
        guidance: GuidanceConfig | Choice | None = None,
        rewriter: RewriterConfig | Choice | None = None,
        preset: str | None = None,
    ) -> Job:
        """Checks options and completes them with the model's defaults.

        Args:
            prompt: one or several.
            num_inference_steps: steps of the solver.
            guidance_scale: 1 is no guidance and half the work.
            guidance_rescale: phi of the guidance.
            shift: of the time grid.
            seed: of the noise, 0 to 2^32 - 1; image k starts from `normal(fold_in(key(seed), k))`.
            num_images_per_prompt: pictures of each prompt.
            batch_size: rows per batch; changes speed and memory, not the pictures.
            first_index: k of the first image, to make later images of a series alone.
            height: of the pictures in pixels, a multiple of 16 for i1; None is the model's resolution.
            width: likewise. Positions are computed for the size, as for the aspect ratios of training.
            solver: an object, a registered name, or a mapping with the name under `component`.
            time_grid: likewise.
            guidance: likewise.
            rewriter: likewise.
            preset: one of `i1_sample.settings.PRESETS`, whose options hold where none is given.

        Raises:
            UserError: for an option of a wrong type, name or range, or a prompt that an encoder refuses.
        """
        prompts = (prompt,) if isinstance(prompt, str) else tuple(prompt)
        if not prompts or not all(isinstance(p, str) for p in prompts):
            raise UserError(f"prompt must be text or a list of texts, at least one; got {prompt!r}")
        check_integer("seed", seed, 0, 2**32 - 1)
        check_integer("number of images", num_images_per_prompt, 1)
        check_integer("first index", first_index, 0, 2**31)
        num_images = len(prompts) * num_images_per_prompt
        size = min(num_images, LARGEST_BATCH) if batch_size is None else batch_size
        check_integer("batch size", size, 1)
        chosen = find_preset(preset)
        settings = resolve_settings(
            self.defaults,
            num_inference_steps=chosen.steps if num_inference_steps is None else num_inference_steps,
            guidance_scale=guidance_scale,
            guidance_rescale=guidance_rescale,
            shift=shift,
            solver=chosen.solver if solver is None else solver,
            time_grid=time_grid,
            guidance=guidance,
        )
        height, width = self.programs.picture_size(height, width)
        rewritten = choose(RewriterConfig, rewriter, self.defaults.rewriter).rewrite(prompts)
        return Job(
            prompts=prompts,
            rewritten=tuple(rewritten),
            tokens=self.programs.tokenize(rewritten),
            images_per_prompt=num_images_per_prompt,
            seed=seed,
            first_index=first_index,
            batch_size=size,
            height=height,
            width=width,
            settings=settings,
            preset=preset,
        )

    def run(self, job: Job) -> Iterator[StepEvent]:
        """Yields the events of a planned job; each prompt is encoded once."""
        return run_job(self.programs, lambda: self.params, job, offload=self.offload)
