"""What a pipeline gives: the resolved job, events, pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np
from PIL import Image

from i1_sample.settings import SampleSettings

OutputType = Literal["pil", "np", "latent"]
LARGEST_BATCH = 8
"""Images per batch unless the caller says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call, resolved: which images are made, and how.

    Attributes:
        prompts: as given.
        rewritten_prompts: as encoded.
        tokens: of the rewritten prompts, what each text encoder's `tokenize` returned.
        num_images_per_prompt: pictures of each prompt; those of one prompt are neighbours.
        seed: of all noise.
        first_index: index k of the first image.
        batch_size: rows of every compiled batch; a last, smaller batch is padded.
        height: pixels of every picture.
        width: pixels of every picture.
        settings: the rest.
        preset: its name, when one was chosen.
    """

    prompts: tuple[str, ...]
    rewritten_prompts: tuple[str, ...]
    num_images_per_prompt: int
    seed: int
    first_index: int
    batch_size: int
    height: int
    width: int
    settings: SampleSettings
    tokens: Sequence[Mapping[str, np.ndarray]] = dataclasses.field(repr=False, compare=False)
    preset: str | None = None

    @property
    def num_images(self) -> int:
        """Pictures in all."""
        return len(self.prompts) * self.num_images_per_prompt


@dataclass(frozen=True)
class StepEvent:
    """The state after one step of one batch.

    Attributes:
        positions: which of the job's images are in this batch, counted from 0.
        step: steps done, from 1.
        num_inference_steps: steps in all.
        time: where the latents are, 1 at the end.
        padded_latents: (batch_size, h, w, C) float32 on the device; rows beyond the batch's are padding.
    """

    positions: range
    step: int
    num_inference_steps: int
    time: float
    padded_latents: jax.Array
    _decode: Callable[[jax.Array], jax.Array] = dataclasses.field(repr=False)

    @property
    def is_last(self) -> bool:
        """Whether the batch is finished."""
        return self.step == self.num_inference_steps

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
