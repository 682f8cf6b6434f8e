"""From prompts to pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from i1_hooks import UserError
from i1_model.checkpoints.folder import LoadedModel
from i1_model.sampling import read_sampling
from PIL import Image

from i1_sample.compilation_cache import enable_compilation_cache
from i1_sample.job import LARGEST_BATCH, Job, OutputType, SampleOutput, StepEvent
from i1_sample.loading import find_parts
from i1_sample.options import (
    LoadKeywords,
    LoadOptions,
    LoraSetting,
    SampleKeywords,
    SampleOptions,
    load_options,
    with_options,
)
from i1_sample.programs import Programs
from i1_sample.rewriters.base import RewriterConfig
from i1_sample.running import run_job
from i1_sample.settings import choose, resolve_settings

__all__ = ["Job", "Pipeline", "SampleOutput", "StepEvent"]


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
            UserError: when there is no such model, its files do not fit, or a repository cannot be had.
        """
        parts = find_parts(options)
        enable_compilation_cache()
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
        prompt: str | Sequence[str],
        *,
        output_type: OutputType = "pil",
        callback: Callable[[StepEvent], None] | None = None,
        **keywords: Unpack[SampleKeywords],
    ) -> SampleOutput:
        """Makes pictures.

        Args:
            prompt: one or several.
            output_type: Pillow images, uint8 pixels, or latents.
            callback: called after every step of every batch; an exception it raises stops the call.
            **keywords: the fields of `SampleOptions`: size, steps, guidance, seed and so on.

        Raises:
            UserError: for an option of a wrong type, name or range, or a prompt that an encoder refuses.
        """
        if output_type not in ("pil", "np", "latent"):
            raise UserError(f"output_type {output_type!r}: choose pil, np or latent")
        job = self.plan(prompt, **keywords)
        finished: list[np.ndarray] = []
        for event in self.run(job):
            if callback is not None:
                callback(event)
            if event.is_last:
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

    def plan(
        self,
        prompt: str | Sequence[str],
        options: SampleOptions | None = None,
        **keywords: Unpack[SampleKeywords],
    ) -> Job:
        """Checks options and completes them with the model's defaults.

        Args:
            prompt: one or several.
            options: how pictures are made; None leaves everything to the model and the keywords.
            **keywords: fields of `SampleOptions` that replace those of `options`.

        Raises:
            UserError: for an option of a wrong type, name or range, or a prompt that an encoder refuses.
        """
        prompts = (prompt,) if isinstance(prompt, str) else tuple(prompt)
        if not prompts or not all(isinstance(p, str) for p in prompts):
            raise UserError(f"prompt must be text or a list of texts, at least one; got {prompt!r}")
        options = with_options(options or SampleOptions(), keywords)
        num_images = len(prompts) * options.num_images_per_prompt
        settings = resolve_settings(self.defaults, options)
        height, width = self.programs.picture_size(options.height, options.width)
        rewritten = choose(RewriterConfig, options.rewriter, self.defaults.rewriter).rewrite(prompts)
        return Job(
            prompts=prompts,
            rewritten_prompts=tuple(rewritten),
            tokens=self.programs.tokenize(rewritten),
            num_images_per_prompt=options.num_images_per_prompt,
            seed=options.seed,
            first_index=options.first_index,
            batch_size=options.batch_size or min(num_images, LARGEST_BATCH),
            height=height,
            width=width,
            settings=settings,
            preset=options.preset,
        )

    def run(self, job: Job) -> Iterator[StepEvent]:
        """Yields the events of a planned job; each prompt is encoded once."""
        return run_job(self.programs, lambda: self.params, job, offload=self.offload)
