"""From prompts to pictures."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from i1_hooks import UserError
from i1_model.checkpoints.folder import LoadedModel
from i1_model.ops.compilation_cache import enable_compilation_cache
from i1_model.ops.devices import find_devices
from i1_model.sampling import read_sampling
from PIL import Image

from i1_sample.job import (
    LARGEST_BATCH,
    Job,
    OutputType,
    PromptEmbeds,
    SampleOutput,
    StepEvent,
    changed_latents,
)
from i1_sample.keywords import LoadKeywords, SampleKeywords, load_options, with_options
from i1_sample.loading import find_parts
from i1_sample.options import LARGEST_SEED, LoadOptions, LoraSetting, SampleOptions
from i1_sample.programs import Programs
from i1_sample.prompts import check_prompt, match_negatives
from i1_sample.returned import checked_prompts, checked_times
from i1_sample.rewriters.base import RewriterConfig
from i1_sample.running import run_job
from i1_sample.settings import choose, resolve_settings
from i1_sample.source_image import ImageInput, SourceImage, prepare_source

__all__ = ["Job", "Pipeline", "PromptEmbeds", "SampleOutput", "StepEvent"]

StepCallback = Callable[["Pipeline", int, float, dict[str, Any]], Mapping[str, Any] | None]
"""What is called after a step: the pipeline, the step's index, the time reached, and the latents by name."""


class Pipeline:
    """A model that makes pictures.

    Args:
        model: a loaded model.
        name: what metadata calls the model.
        revision: the commit of its repository, for metadata.
        revisions: the commits of all repositories that its parts come from, for metadata.
        loras: the LoRAs that its parameters include, for metadata.
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
    def from_pretrained(cls, model: str | os.PathLike[str], **keywords: Unpack[LoadKeywords]) -> Pipeline:
        """Loads a model, see `load`.

        Args:
            model: what `LoadOptions.model` takes.
            **keywords: the other fields of `LoadOptions`; paths may be `Path` objects, and a LoRA a path,
                `"path:scale"`, or both as a pair.

        Raises:
            UserError: for an unknown option, or what `load` refuses.
        """
        return cls.load(load_options(model, keywords))

    @classmethod
    def load(cls, options: LoadOptions) -> Pipeline:
        """Loads a model, and turns JAX's persistent compilation cache on.

        Parts are read one after the other, straight into their dtype and place; on a terminal a bar shows
        how far each is read.

        Raises:
            UserError: when there is no such model, its files do not fit, or a repository cannot be fetched.
        """
        find_devices()
        parts = find_parts(options)
        enable_compilation_cache(min_compile_seconds=0.0)  # sampling is a handful of small programs
        pipeline = cls(
            LoadedModel(parts.config, None if options.offload else parts.load_params(), parts.metadata),
            name=parts.name,
            revision=parts.revision,
            revisions=parts.revisions,
            loras=options.loras,
            programs=Programs(parts.config, sharding=options.sharding),
            load_params=parts.load_params,
            offload=options.offload,
        )
        if not options.offload:
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
        prompt: str | Sequence[str] | None = None,
        *,
        latents: np.ndarray | None = None,
        image: ImageInput | None = None,
        mask_image: ImageInput | None = None,
        prompt_embeds: PromptEmbeds | None = None,
        output_type: OutputType = "pil",
        callback_on_step_end: StepCallback | None = None,
        **keywords: Unpack[SampleKeywords],
    ) -> SampleOutput:
        """Makes pictures.

        Args:
            prompt: one or several; None with `prompt_embeds`.
            latents: (N, h, w, C) float32 noise to start from, instead of noise drawn from the seed.
            image: a picture to change, as much as `strength` says: a Pillow image, uint8 pixels or a path.
            mask_image: white where the picture is painted anew, black where it stays.
            prompt_embeds: what `encode_prompt` returned, instead of prompts.
            output_type: Pillow images, uint8 pixels, or latents.
            callback_on_step_end: called after every step of every batch with this pipeline, the index of the
                step, the time reached, and a dict with `latents` (b, h, w, C); a dict that it returns may
                hold other latents to continue from. An exception that it raises stops the call.
            **keywords: the fields of `SampleOptions`: size, steps, guidance, seed and so on.

        Raises:
            UserError: for an option of a wrong type, name or range, or a prompt that an encoder refuses.
        """
        if output_type not in ("pil", "np", "latent"):
            raise UserError(f"output_type {output_type!r}: choose pil, np or latent")
        job = self.plan(
            prompt,
            latents=latents,
            image=image,
            mask_image=mask_image,
            prompt_embeds=prompt_embeds,
            **keywords,
        )
        finished: list[np.ndarray] = []
        events, replaced = self.run(job), None
        while True:
            try:
                event = events.send(replaced)
            except StopIteration:
                break
            replaced = None
            if callback_on_step_end is not None:
                given = {"latents": event.latents}
                returned = callback_on_step_end(self, event.step - 1, event.time, given)
                replaced = changed_latents(returned, event)
            if event.is_last:
                event = event if replaced is None else event.with_latents(replaced)
                finished.append(event.latents if output_type == "latent" else event.images())
        arrays = np.concatenate(finished)
        return SampleOutput([Image.fromarray(a) for a in arrays] if output_type == "pil" else arrays, job)

    def stream(self, prompt: str | Sequence[str], **keywords: Unpack[SampleKeywords]) -> Iterator[StepEvent]:
        """Makes pictures step by step; leave the loop to cancel.

        Args:
            prompt: one or several.
            **keywords: the fields of `SampleOptions`.

        Returns:
            An iterator of events, batch after batch; an event that `is_last` holds finished pictures.

        Raises:
            UserError: at once, for what `plan` refuses.

        Example:
            for event in pipeline.stream("a star", num_inference_steps=20):
                preview = event.images()
        """
        return self.run(self.plan(prompt, **keywords))

    def encode_prompt(self, prompt: str | Sequence[str]) -> PromptEmbeds:
        """Encodes prompts once, for calls that share them.

        Raises:
            UserError: for a prompt that is not text or that an encoder refuses.
        """
        prompts = _as_prompts(prompt)
        tokens = self.programs.tokenize(prompts)
        captions = self.programs.encode(self.programs.encoder_params, tokens)
        masks = [of_encoder["mask"] for of_encoder in tokens]
        return PromptEmbeds(captions=tuple(map(np.asarray, captions)), masks=tuple(map(np.asarray, masks)))

    def plan(
        self,
        prompt: str | Sequence[str] | None = None,
        options: SampleOptions | None = None,
        *,
        latents: np.ndarray | None = None,
        image: ImageInput | None = None,
        mask_image: ImageInput | None = None,
        prompt_embeds: PromptEmbeds | None = None,
        **keywords: Unpack[SampleKeywords],
    ) -> Job:
        """Checks options and completes them with the model's defaults.

        Args:
            prompt: one or several; None with `prompt_embeds`.
            options: how pictures are made; None leaves everything to the model and the keywords.
            latents: as for a call.
            image: as for a call.
            mask_image: as for a call.
            prompt_embeds: as for a call.
            **keywords: fields of `SampleOptions` that replace those of `options`.

        Raises:
            UserError: for an option of a wrong type, name or range, or a prompt that an encoder refuses.
        """
        options = with_options(options or SampleOptions(), keywords)
        settings = resolve_settings(self.defaults, options)
        checked_times(settings.time_grid, settings.num_inference_steps)
        source, size = self._prepare_source(image, mask_image, options)
        height, width = self.programs.picture_size(*size)
        if prompt_embeds is None:
            prompts = _as_prompts(prompt)
            rewriter = choose(RewriterConfig, options.rewriter, self.defaults.rewriter)
            rewritten = checked_prompts(rewriter, prompts)
            for text in rewritten:
                check_prompt(text)
            tokens = self.programs.tokenize(rewritten)
        else:
            if prompt is not None or options.rewriter is not None:
                raise UserError("prompt_embeds take the place of a prompt and a rewriter: leave one out")
            prompts = rewritten = [""] * prompt_embeds.num_prompts
            tokens = []
        negative_prompts = match_negatives(options.negative_prompt, len(prompts))
        if negative_prompts and not settings.is_guided:
            raise UserError(
                f"negative_prompt {options.negative_prompt!r} does not apply: there is no guidance "
                f"(guidance_scale {settings.guidance_scale:g}); raise guidance_scale or leave it out"
            )
        if negative_prompts and prompt_embeds is not None and not all(negative_prompts):
            raise UserError(
                "negative_prompt: with prompt_embeds give a text for every prompt, or none at all"
            )
        num_images = len(prompts) * options.num_images_per_prompt
        noise = None
        if latents is not None:
            noise = self.programs.check_noise(latents, num_images, (height, width))
        negative_texts = [n or p for n, p in zip(negative_prompts, rewritten, strict=False)]
        return Job(
            prompts=tuple(prompts),
            rewritten_prompts=tuple(rewritten),
            tokens=tokens,
            negative_prompts=negative_prompts,
            negative_tokens=self.programs.tokenize(negative_texts) if negative_texts else (),
            embeds=prompt_embeds,
            source=source,
            noise=noise,
            num_images_per_prompt=options.num_images_per_prompt,
            seed=secrets.randbelow(LARGEST_SEED + 1) if options.seed is None else options.seed,
            first_index=options.first_index,
            batch_size=options.batch_size or min(num_images, LARGEST_BATCH),
            height=height,
            width=width,
            settings=settings,
            preset=options.preset,
        )

    def _prepare_source(
        self, image: ImageInput | None, mask_image: ImageInput | None, options: SampleOptions
    ) -> tuple[SourceImage | None, tuple[int | None, int | None]]:
        """Returns the source image and the size of pictures."""
        if image is None:
            for name, value in (("mask_image", mask_image), ("strength", options.strength)):
                if value is not None:
                    raise UserError(f"{name} does not apply without an image to change; give one as image")
            return None, (options.height, options.width)
        source = prepare_source(
            image,
            mask_image,
            options.strength,
            (options.height, options.width),
            unit=self.config.size_unit,
            factor=self.config.autoencoder.factor,
        )
        return source, source.pixels.shape[:2]

    def run(self, job: Job) -> Generator[StepEvent, np.ndarray | None, None]:
        """Yields the events of a planned job; each prompt is encoded once."""
        return run_job(self.programs, lambda: self.params, job, offload=self.offload)


def _as_prompts(prompt: str | Sequence[str] | None) -> list[str]:
    prompts = [prompt] if isinstance(prompt, str) else list(prompt or ())
    if not prompts or not all(isinstance(text, str) for text in prompts):
        raise UserError(f"prompt must be text or a list of texts, at least one; got {prompt!r}")
    for text in prompts:
        check_prompt(text)
    return prompts
