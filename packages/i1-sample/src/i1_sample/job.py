"""What a pipeline gives: the resolved job, events, pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from i1_hooks import UserError
from PIL import Image

from i1_sample.settings import SampleSettings
from i1_sample.source_image import SourceImage

OutputType = Literal["pil", "np", "latent"]
LARGEST_BATCH = 8
"""Images per batch unless the caller says otherwise."""


@dataclass(frozen=True, kw_only=True)
class PromptEmbeds:
    """Encoded prompts, as `Pipeline.encode_prompt` returns them; arrays are on the host.

    Attributes:
        captions: (P, T, W) of every text encoder.
        masks: (P, T) bool of every text encoder.
    """

    captions: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]

    @property
    def num_prompts(self) -> int:
        """The number of prompts P."""
        return self.masks[0].shape[0]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call, resolved: which images are made, and how.

    Attributes:
        prompts: as given.
        rewritten_prompts: as encoded.
        negative_prompts: one per prompt, None for the null caption; empty when there are none at all.
        tokens: of the rewritten prompts, what each text encoder's `tokenize` returned.
        negative_tokens: of the negative prompts; a null one has the tokens of its prompt.
        embeds: what is used instead of encoding the tokens.
        source: the picture that all images start from.
        noise: (N, h, w, C) float32, what is used instead of drawing it from the seed.
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
    negative_prompts: tuple[str | None, ...] = ()
    negative_tokens: Sequence[Mapping[str, np.ndarray]] = dataclasses.field(
        default=(), repr=False, compare=False
    )
    embeds: PromptEmbeds | None = dataclasses.field(default=None, repr=False, compare=False)
    source: SourceImage | None = dataclasses.field(default=None, repr=False, compare=False)
    noise: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    preset: str | None = None

    @property
    def num_images(self) -> int:
        """Pictures in all."""
        return len(self.prompts) * self.num_images_per_prompt

    @property
    def num_steps(self) -> int:
        """Solver steps of each image, fewer than `num_inference_steps` where a source image is changed."""
        steps = self.settings.num_inference_steps
        return steps if self.source is None else steps - self.source.first_step(steps)


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
    _decode: Callable[[jax.Array], np.ndarray] = dataclasses.field(repr=False)

    @property
    def is_last(self) -> bool:
        """Whether the batch is finished."""
        return self.step == self.num_inference_steps

    @property
    def latents(self) -> np.ndarray:
        """The latents of the batch's images, (b, h, w, C) float32 on the host."""
        return np.asarray(self.padded_latents)[: len(self.positions)]

    def with_latents(self, latents: np.ndarray) -> StepEvent:
        """Returns the same event with other latents (b, h, w, C)."""
        padded = self.padded_latents.at[: len(self.positions)].set(latents)
        return dataclasses.replace(self, padded_latents=padded)

    def images(self) -> np.ndarray:
        """Decodes the latents as they are: the pictures at the last step, a preview before.

        Returns:
            (b, H, W, 3) uint8.

        Raises:
            UserError: when a decoded value is not finite.
        """
        return self._decode(self.padded_latents)[: len(self.positions)]


@dataclass(frozen=True)
class SampleOutput:
    """What a call of the pipeline returns.

    Attributes:
        images: Pillow images, or one array: (N, H, W, 3) uint8 pixels or (N, h, w, C) float32 latents.
        job: how they were made.
    """

    images: list[Image.Image] | np.ndarray
    job: Job


def changed_latents(returned: Mapping[str, Any] | None, event: StepEvent) -> np.ndarray | None:
    """Returns the latents in what a callback returned, None where they are those of the event.

    Raises:
        UserError: for something other than a dict, or latents of another shape.
    """
    if returned is None:
        return None
    if not isinstance(returned, Mapping) or not set(returned) <= {"latents"}:
        raise UserError(
            f"callback_on_step_end must return None or a dict with latents, got {returned!r:.200}"
        )
    latents = np.asarray(returned.get("latents", event.latents), np.float32)
    if latents.shape != event.latents.shape:
        raise UserError(
            f"callback_on_step_end returned latents {latents.shape}, expected {event.latents.shape}"
        )
    return None if np.array_equal(latents, event.latents) else latents
