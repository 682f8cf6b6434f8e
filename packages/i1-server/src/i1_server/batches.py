"""Pictures of several requests as one job for the pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from i1_sample import Job, Pipeline

from i1_server.tasks import Task


@dataclass(frozen=True, eq=False)
class Unit:
    """One picture that is to be made.

    Attributes:
        task: whose it is.
        position: which of the task's pictures, counted from 0.
    """

    task: Task
    position: int


def are_compatible(first: Task, second: Task) -> bool:
    """Returns whether pictures of two tasks may be made in one batch."""
    if first is second:
        return True
    return (
        not (first.runs_alone or second.runs_alone)
        and first.request.model == second.request.model
        and (first.job.height, first.job.width) == (second.job.height, second.job.width)
        and first.job.settings == second.job.settings
    )


def take_batch(waiting: Sequence[Unit], most: int) -> list[Unit]:
    """Returns the picture that has waited longest, with those that can be made beside it.

    Args:
        waiting: in the order of their arrival, at least one.
        most: pictures of a batch.
    """
    compatible = (unit for unit in waiting if are_compatible(waiting[0].task, unit.task))
    return [unit for unit, _ in zip(compatible, range(most), strict=False)]


def merge(pipeline: Pipeline, units: Sequence[Unit]) -> Job:
    """Returns one job with a prompt and a noise for each picture.

    Each picture starts from the noise of its own seed and index, so that it is the same alone or in any
    batch, to float rounding. The batch is padded to a power of two, so that few programs are compiled.
    """
    jobs = [unit.task.job for unit in units]
    first = jobs[0]
    negatives = tuple(job.negative_prompts[0] if job.negative_prompts else None for job in jobs)
    has_negatives = any(negatives)
    return dataclasses.replace(
        first,
        prompts=tuple(job.prompts[0] for job in jobs),
        rewritten_prompts=tuple(job.rewritten_prompts[0] for job in jobs),
        tokens=_stack([job.tokens for job in jobs]),
        negative_prompts=negatives if has_negatives else (),
        negative_tokens=_stack([job.negative_tokens or job.tokens for job in jobs]) if has_negatives else (),
        noise=np.concatenate([_noise(pipeline, unit) for unit in units]),
        num_images_per_prompt=1,
        first_index=0,
        batch_size=1 << (len(units) - 1).bit_length(),
    )


def _noise(pipeline: Pipeline, unit: Unit) -> np.ndarray:
    job = unit.task.job
    index = np.array([job.first_index + unit.position], np.uint32)
    size = (job.height, job.width)
    return np.asarray(pipeline.programs.start(np.uint32(job.seed), index, job.settings.solver, size)[0])


def _stack(tokens: Sequence[Sequence[Mapping[str, np.ndarray]]]) -> list[dict[str, np.ndarray]]:
    """Returns the tokens of every text encoder, one row per job."""
    return [
        {name: np.concatenate([encoder[name][:1] for encoder in rows]) for name in rows[0]}
        for rows in zip(*tokens, strict=True)
    ]
