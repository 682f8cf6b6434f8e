"""The sampling loop: a planned job, batch after batch and step after step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from i1_sample.job import Job, StepEvent
from i1_sample.programs import Programs


def run_job(
    programs: Programs, load_params: Callable[[], Any], job: Job, *, offload: bool = False
) -> Iterator[StepEvent]:
    """Yields the events of a planned job; each prompt is encoded once.

    Args:
        programs: the compiled parts of the model.
        load_params: returns the denoiser's parameters; called when the first prompts are encoded.
        job: what is to be made.
        offload: whether all prompts are encoded first, and the text encoders freed then.
    """
    size = job.batch_size
    encoded = _encoded(programs, job)
    if offload:
        encoded = iter(list(encoded))
        programs.release_text_encoders()
    for first, captions, masks in encoded:
        params = load_params()
        conditioning = programs.condition(
            params, captions, masks, job.settings.is_guided, (job.height, job.width)
        )
        last = min(first + size, len(job.rewritten_prompts))
        stop = last * job.num_images_per_prompt
        for start in range(first * job.num_images_per_prompt, stop, size):
            positions = range(start, min(start + size, stop))
            yield from _run_batch(programs, params, job, positions, first, conditioning)


def _encoded(programs: Programs, job: Job) -> Iterator[tuple[int, Any, Any]]:
    """Yields the index of the first prompt, the captions and the masks of every batch of prompts."""
    num_prompts, size = len(job.rewritten_prompts), job.batch_size
    for first in range(0, num_prompts, size):
        rows = _padded(range(first, min(first + size, num_prompts)), size)
        tokens = [{name: array[rows] for name, array in of_encoder.items()} for of_encoder in job.tokens]
        captions = programs.encode(programs.encoder_params, tokens)
        yield first, captions, [of_encoder["mask"] for of_encoder in tokens]


def _run_batch(
    programs: Programs, params: Any, job: Job, positions: range, first_prompt: int, conditioning: Any
) -> Iterator[StepEvent]:
    settings, size = job.settings, job.batch_size
    images = np.array(_padded(positions, size))
    rows = images // job.num_images_per_prompt - first_prompt
    if not np.array_equal(rows, np.arange(size)):
        both = np.concatenate([rows, rows + size]) if settings.is_guided else rows
        conditioning = programs.select(conditioning, both)
    indices = (images + job.first_index).astype(np.uint32)
    x, carry = programs.start(np.uint32(job.seed), indices, settings.solver, (job.height, job.width))
    times = settings.time_grid.times(settings.num_inference_steps)
    guidance = settings.guidance if settings.is_guided else None
    scale = np.float32(settings.guidance_scale)

    def decode(latents: jax.Array) -> jax.Array:
        return programs.decode(programs.autoencoder.params, latents)

    for step in range(settings.num_inference_steps):
        x, carry = programs.step(
            params,
            conditioning,
            x,
            carry,
            times[step],
            times[step + 1],
            scale,
            settings.solver,
            guidance,
        )
        yield StepEvent(positions, step + 1, settings.num_inference_steps, float(times[step + 1]), x, decode)


def _padded(items: Sequence[Any], size: int) -> list[Any]:
    """Returns items, the last one repeated up to a length."""
    return [*items, *[items[-1]] * (size - len(items))]
