"""The sampling loop: a planned job, batch after batch and step after step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from i1_hooks.text import one_line

from i1_sample.job import Job, StepEvent
from i1_sample.programs import Programs
from i1_sample.returned import checked_times
from i1_sample.stages import Negatives
from i1_sample.trimming import text_lengths


def run_job(
    programs: Programs, load_params: Callable[[], Any], job: Job, *, offload: bool = False
) -> Generator[StepEvent, np.ndarray | None, None]:
    """Yields the events of a planned job; each prompt is encoded once.

    Args:
        programs: the compiled parts of the model.
        load_params: returns the denoiser's parameters; called when the first prompts are encoded.
        job: what is to be made.
        offload: whether all prompts are encoded first, and the text encoders freed then.

    Sends:
        Latents (b, h, w, C) from which the batch continues after the event, instead of its own.

    Raises:
        UserError: when latents or pixels are not finite.
    """
    size = job.batch_size
    encoded = _encode_batches(programs, job)
    if offload:
        encoded = iter(list(encoded))
        programs.release_text_encoders()
    for first, captions, masks, negatives in encoded:
        params = load_params()
        lengths = text_lengths(programs.config, [*masks], [*(negatives.masks if negatives else ())])
        conditioning = programs.condition(
            params, captions, masks, job.settings.is_guided, (job.height, job.width), negatives, lengths
        )
        last = min(first + size, len(job.rewritten_prompts))
        stop = last * job.num_images_per_prompt
        for start in range(first * job.num_images_per_prompt, stop, size):
            positions = range(start, min(start + size, stop))
            yield from _run_batch(programs, params, job, positions, first, conditioning)


def _encode_batches(
    programs: Programs, job: Job
) -> Iterator[tuple[int, Sequence[Any], Sequence[Any], Negatives | None]]:
    """Yields the index of the first prompt, the captions, the masks and the negatives of every batch."""
    num_prompts, size = len(job.rewritten_prompts), job.batch_size

    def encode(all_tokens: Sequence[Mapping[str, np.ndarray]], rows: list[int]) -> tuple[Any, list[Any]]:
        tokens = [{name: array[rows] for name, array in of_encoder.items()} for of_encoder in all_tokens]
        captions = programs.encode(programs.encoder_params, tokens)
        return captions, [of_encoder["mask"] for of_encoder in tokens]

    for first in range(0, num_prompts, size):
        rows = _padded(range(first, min(first + size, num_prompts)), size)
        if job.embeds is None:
            captions, masks = encode(job.tokens, rows)
        else:
            captions = [array[rows] for array in job.embeds.captions]
            masks = [array[rows] for array in job.embeds.masks]
        negatives = None
        if job.negative_prompts:
            is_null = np.array([not job.negative_prompts[row] for row in rows])
            negatives = Negatives(*encode(job.negative_tokens, rows), is_null)
        yield first, captions, masks, negatives


def _run_batch(
    programs: Programs, params: Any, job: Job, positions: range, first_prompt: int, conditioning: Any
) -> Generator[StepEvent, np.ndarray | None, None]:
    settings, size = job.settings, job.batch_size
    images = np.array(_padded(positions, size))
    rows = images // job.num_images_per_prompt - first_prompt
    if not np.array_equal(rows, np.arange(size)):
        both = np.concatenate([rows, rows + size]) if settings.is_guided else rows
        conditioning = programs.select(conditioning, both)
    indices = (images + job.first_index).astype(np.uint32)
    x, carry = programs.start(np.uint32(job.seed), indices, settings.solver, (job.height, job.width))
    if job.noise is not None:
        x = jnp.asarray(job.noise[images])
        carry = settings.solver.init(x)
    times = checked_times(settings.time_grid, settings.num_inference_steps)
    guidance = settings.guidance if settings.is_guided else None
    scale = np.float32(settings.guidance_scale)

    def decode(latents: jax.Array) -> np.ndarray:
        pixels, finite = programs.decode(programs.autoencoder.params, latents)
        _require_finite(np.asarray(finite), positions, job, "pixels")
        return np.asarray(pixels)

    source, noise, clean, first = job.source, x, x, 0
    if source is not None:
        clean = programs.encode_image(programs.autoencoder.params, source.pixels[None])
        first = source.first_step(settings.num_inference_steps)
        nowhere = np.zeros(x.shape[1:3], bool)
        x = programs.mix(x, noise, clean, nowhere, times[first])
    for step in range(first, settings.num_inference_steps):
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
        if source is not None and source.repaint is not None:
            x = programs.mix(x, noise, clean, source.repaint, times[step + 1])
        if step == settings.num_inference_steps - 1:
            finite = np.isfinite(np.asarray(x).reshape(size, -1))
            _require_finite(np.asarray(finite.all(axis=1)), positions, job, "latents")
        done, num_steps = step + 1 - first, settings.num_inference_steps - first
        replaced = yield StepEvent(positions, done, num_steps, float(times[step + 1]), x, decode)
        if replaced is not None:
            x = x.at[: len(positions)].set(replaced)


def _require_finite(finite: np.ndarray, positions: range, job: Job, what: str) -> None:
    """Raises an error for the first image of a batch that has a value which is not finite."""
    for position, is_finite in zip(positions, finite, strict=False):
        if not is_finite:
            prompt = job.rewritten_prompts[position // job.num_images_per_prompt]
            raise UserError(
                f"image {position} of {one_line(repr(prompt[:60]))}: its {what} are not finite after "
                f"{job.settings.num_inference_steps} steps with guidance_scale "
                f"{job.settings.guidance_scale:g}; lower the guidance scale or the scale of a LoRA, or use "
                "parameters that are finite"
            )


def _padded(items: Sequence[Any], size: int) -> list[Any]:
    """Returns items, the last one repeated up to a length."""
    return [*items, *[items[-1]] * (size - len(items))]
