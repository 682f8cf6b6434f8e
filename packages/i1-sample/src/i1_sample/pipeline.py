"""From prompts to pictures."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import jax
import numpy as np
from i1_hooks import UserError, from_dict
from i1_model.checkpoint import LoadedModel, load_model
from PIL import Image

from i1_sample.compilation_cache import enable_compilation_cache
from i1_sample.guidances.base import GuidanceConfig
from i1_sample.models import find_model
from i1_sample.programs import Programs
from i1_sample.rewriters.base import RewriterConfig
from i1_sample.settings import (
    Choice,
    SampleSettings,
    SamplingDefaults,
    check_integer,
    component,
    resolve_settings,
)
from i1_sample.solvers.base import SolverConfig
from i1_sample.time_grids import TimeGridConfig

ComputeDtype = Literal["float32", "bfloat16"]
OutputType = Literal["pil", "np", "latent"]
LARGEST_BATCH = 8
"""Images per batch unless the caller says otherwise."""


class SampleOptions(TypedDict, total=False):
    """The options of `Pipeline.plan`, which describes them."""

    num_inference_steps: int | None
    guidance_scale: float | None
    guidance_rescale: float | None
    shift: float | None
    seed: int
    num_images_per_prompt: int
    batch_size: int | None
    first_index: int
    solver: SolverConfig | Choice
    time_grid: TimeGridConfig | Choice
    guidance: GuidanceConfig | Choice
    rewriter: RewriterConfig | Choice


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call, resolved: which images are made, and how.

    Attributes:
        prompts: as given.
        rewritten: as encoded.
        images_per_prompt: pictures of each prompt; those of one prompt are neighbours.
        seed: of all noise.
        first_index: index k of the first image.
        batch_size: rows of every compiled batch; a last, smaller batch is padded.
        settings: the rest.
    """

    prompts: tuple[str, ...]
    rewritten: tuple[str, ...]
    images_per_prompt: int
    seed: int
    first_index: int
    batch_size: int
    settings: SampleSettings

    @property
    def num_images(self) -> int:
        """Pictures in all."""
        return len(self.prompts) * self.images_per_prompt


@dataclass(frozen=True)
class StepEvent:
    """The state after one step of one batch.

    Attributes:
        positions: which of the job's images are in this batch, counted from 0.
        step: steps done, from 1.
        num_steps: steps in all.
        time: where the latents are, 1 at the end.
        padded_latents: (batch_size, h, w, C) float32 on the device; rows beyond the batch's are padding.
    """

    positions: range
    step: int
    num_steps: int
    time: float
    padded_latents: jax.Array
    _decode: Callable[[jax.Array], jax.Array] = dataclasses.field(repr=False)

    @property
    def is_last(self) -> bool:
        """Whether the batch is finished."""
        return self.step == self.num_steps

    @property
    def latents(self) -> np.ndarray:
        """The latents of the batch's images, (b, h, w, C) float32 on the host."""
        return np.asarray(self.padded_latents)[: len(self.positions)]

    def images(self) -> np.ndarray:
        """Decodes the latents as they are: the pictures at the last step, a preview before.

        Returns:
            (b, H, W, 3) uint8.
        """
        return np.asarray(self._decode(self.padded_latents))[: len(self.positions)]


@dataclass(frozen=True)
class SampleOutput:
    """What a call of the pipeline returns.

    Attributes:
        images: Pillow images, or one array: (N, H, W, 3) uint8 pixels or (N, h, w, C) float32 latents.
        job: how they were made.
    """

    images: list[Image.Image] | np.ndarray
    job: Job


class Pipeline:
    """A model that makes pictures.

    Args:
        model: a loaded model.
        name: what metadata calls it.
        programs: compiled parts to share with another pipeline of the same configuration.

    Example:
        pipeline = Pipeline.from_pretrained("scenes")
        pipeline("a red circle above a blue square", seed=1).images[0].save("picture.png")
    """

    def __init__(self, model: LoadedModel, *, name: str = "model", programs: Programs | None = None) -> None:
        self.config = model.config
        self.params = model.params
        self.metadata = model.metadata
        self.name = name
        self.programs = programs or Programs(model.config)
        self.defaults = from_dict(SamplingDefaults, model.metadata.get("sampling", {}), "sampling")

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike[str], *, dtype: ComputeDtype | None = None) -> Pipeline:
        """Loads a model, and turns JAX's persistent compilation cache on.

        Args:
            model: a model folder, a training workdir (its newest checkpoint), or a registered name.
            dtype: of activations and matrix products; by default the model's own. Parameters stay float32.

        Raises:
            UserError: when there is no such model, or its files do not fit.
        """
        folder = find_model(model)
        enable_compilation_cache()
        loaded = load_model(folder)
        if dtype is not None:
            loaded = dataclasses.replace(
                loaded, config=dataclasses.replace(loaded.config, compute_dtype=dtype)
            )
        return cls(loaded, name=os.fspath(model))

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
        solver: SolverConfig | Choice = "euler",
        time_grid: TimeGridConfig | Choice = "shifted",
        guidance: GuidanceConfig | Choice = "cfg",
        rewriter: RewriterConfig | Choice = "none",
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
            solver: an object, a registered name, or a mapping with the name under `component`.
            time_grid: likewise.
            guidance: likewise.
            rewriter: likewise.

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
        settings = resolve_settings(
            self.defaults,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            guidance_rescale=guidance_rescale,
            shift=shift,
            solver=solver,
            time_grid=time_grid,
            guidance=guidance,
        )
        rewritten = component(RewriterConfig, rewriter).rewrite(prompts)
        self.programs.tokenize(rewritten)  # refuses a bad prompt before any work
        return Job(
            prompts=prompts,
            rewritten=tuple(rewritten),
            images_per_prompt=num_images_per_prompt,
            seed=seed,
            first_index=first_index,
            batch_size=size,
            settings=settings,
        )

    def run(self, job: Job) -> Iterator[StepEvent]:
        """Yields the events of a planned job; each prompt is encoded once."""
        size = job.batch_size
        for first in range(0, len(job.rewritten), size):
            prompts = _padded(job.rewritten[first : first + size], size)
            conditioning = self.programs.condition(
                self.params,
                self.programs.encoder_params,
                self.programs.tokenize(prompts),
                job.settings.is_guided,
            )
            last = min(first + size, len(job.rewritten))
            stop = last * job.images_per_prompt
            for start in range(first * job.images_per_prompt, stop, size):
                positions = range(start, min(start + size, stop))
                yield from self._run_batch(job, positions, first, conditioning)

    def _run_batch(
        self, job: Job, positions: range, first_prompt: int, conditioning: Any
    ) -> Iterator[StepEvent]:
        settings, size = job.settings, job.batch_size
        images = np.array(_padded(positions, size))
        rows = images // job.images_per_prompt - first_prompt
        if not np.array_equal(rows, np.arange(size)):
            both = np.concatenate([rows, rows + size]) if settings.is_guided else rows
            conditioning = self.programs.select(conditioning, both)
        indices = (images + job.first_index).astype(np.uint32)
        x, carry = self.programs.start(np.uint32(job.seed), indices, settings.solver)
        times = settings.time_grid.times(settings.num_steps)
        guidance = settings.guidance if settings.is_guided else None
        scale = np.float32(settings.guidance_scale)
        for step in range(settings.num_steps):
            x, carry = self.programs.step(
                self.params,
                conditioning,
                x,
                carry,
                times[step],
                times[step + 1],
                scale,
                settings.solver,
                guidance,
            )
            yield StepEvent(positions, step + 1, settings.num_steps, float(times[step + 1]), x, self._decode)

    def _decode(self, latents: jax.Array) -> jax.Array:
        return self.programs.decode(self.programs.autoencoder.params, latents)


def _padded(items: Sequence[Any], size: int) -> list[Any]:
    """Returns items, the last one repeated up to a length."""
    return [*items, *[items[-1]] * (size - len(items))]
