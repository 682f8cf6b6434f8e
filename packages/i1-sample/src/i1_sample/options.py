"""The two records that everything which makes pictures takes: how a model is loaded, how it is sampled.

Python, `i1 sample`, the server and jobs build the same records, so that an option has one name, one type and
one range everywhere. Each field says what the command line calls it; nothing heavy is imported here.
"""

# ruff: noqa: RUF009 (`_option` returns a field)

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from typing import Any, Literal, get_args

from i1_hooks import UserError
from i1_hooks.files import user_path
from i1_model.sampling import Choice

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.option_checks import check_fields
from i1_sample.presets import PRESETS
from i1_sample.rewriters.base import RewriterConfig
from i1_sample.solvers.base import SolverConfig
from i1_sample.time_grids.base import TimeGridConfig

Dtype = Literal["float32", "bfloat16"]
Place = str | os.PathLike[str]
LoraChoice = Place | tuple[Place, float]
"""A path, `"path:scale"`, or both as a pair."""
LARGEST_SEED = 2**32 - 1
MOST_STEPS = 10_000
SMALLEST_STRENGTH = 1e-4
LARGEST_SCALE = 1000
"""Of the guidance, in either direction; pictures are saturated long before."""


def _option(
    default: Any,
    text: str,
    *flags: str,
    metavar: str | None = None,
    low: float | None = None,
    high: float | None = None,
    kind: str | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Returns a field that knows its help text, its flags, its range and the kind of its component."""
    metadata = {
        "help": text,
        "flags": flags,
        "metavar": metavar,
        "low": low,
        "high": high,
        "kind": kind,
        "choices": choices,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class LoraSetting:
    """One LoRA and how strongly it is added.

    Attributes:
        path: a LoRA file, a folder that holds one, or a workdir.
        scale: 1 is as trained, 0 is without, below 0 is away from it.
    """

    path: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise UserError(f"lora {self.path!r}: the scale must be a finite number, got {self.scale}")

    def __str__(self) -> str:
        return f"{self.path}:{self.scale:g}"


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Which model is loaded, from where, and how it lies in memory.

    Attributes:
        model: a registered name, a model folder, a training workdir (its newest checkpoint), a checkpoint, a
            released file or a folder of them, a folder in the layout of diffusers, or a repository on the
            Hugging Face Hub such as `zlab-princeton/i1-3B`, optionally with `@REVISION`.
        revision: of the repository; None takes that of `i1_model.checkpoints.hub.REVISIONS`, else `main`.
        resolution: pixels, a multiple of 16 for i1; None is the model's own, the largest published one.
        text_encoder: folder or repository of the text encoder's parameters; None is the model's own.
        vae: folder or repository of the autoencoder's parameters; None is the model's own.
        vae_tile: pixels of the tiles that the autoencoder works by, which bounds its memory; None takes
            pictures as a whole.
        loras: adapters that are merged into the parameters; several add up.
        dtype: of parameters, activations and matrix products; None takes that of the model's configuration,
            with parameters in float32.
        offload: whether the parameters of one part at a time are held: the text encoders are read first and
            freed before the denoiser is read, and read again by a later call.
        sharding: where each array of the denoiser, the text encoders and the autoencoder goes, given its path
            and shape, such as `i1_model.ops.sharding.spread_over(jax.devices())`; None is one device. Only
            Python can give it.
    """

    model: str = _option(
        "scenes",
        "a model folder, a training workdir, a released checkpoint, a name, or a repository on the Hugging "
        "Face Hub such as zlab-princeton/i1-3B (default: scenes)",
        "--model",
    )
    revision: str | None = _option(
        None, "branch, tag or commit of the model's repository", "--revision", metavar="REV"
    )
    resolution: int | None = _option(
        None, "that the model is set to, a multiple of 16 for i1", "--resolution", metavar="PX", low=1
    )
    text_encoder: str | None = _option(
        None,
        "the text encoder's weights, a folder or OWNER/NAME[@REV]",
        "--text-encoder",
        metavar="PATH",
    )
    vae: str | None = _option(
        None, "the autoencoder's weights, a folder or OWNER/NAME[@REV]", "--vae", metavar="PATH"
    )
    vae_tile: int | None = _option(
        None, "decode by tiles of this edge: bounds memory", "--vae-tile", metavar="PX", low=1
    )
    loras: tuple[LoraSetting, ...] = _option(
        (),
        "a LoRA file, folder or workdir, added with scale S (default: 1); several add up",
        "--lora",
        metavar="PATH[:S]",
    )
    dtype: Dtype | None = _option(
        None, "of weights and activations (default: the model's)", "--dtype", choices=get_args(Dtype)
    )
    offload: bool = _option(
        False, "free the text encoder before the denoiser is loaded: least memory", "--offload"
    )
    sharding: Any = _option(None, "where each array goes")

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """How pictures are made from prompts, whatever the prompts; None is the model's own setting.

    Attributes:
        height: of the pictures in pixels, a multiple of 16 for i1; None is the model's resolution.
        width: of the pictures in pixels. Positions are computed for the size, as for the aspect ratios of
            training.
        negative_prompt: what pictures are led away from, one text for all prompts or one per prompt; None and
            empty text are the model's null caption.
        num_inference_steps: number of solver steps.
        strength: how much of a source image is changed, above 0 and at most 1; None is 0.8.
        guidance_scale: 1 is no guidance and half the work.
        guidance_rescale: phi of the guidance, 0 to 1.
        shift: of the time grid; 0 and 1 are none.
        seed: of the noise; image k starts from `normal(fold_in(key(seed), k))`. None draws one, which the job
            and the metadata report.
        num_images_per_prompt: pictures of each prompt.
        batch_size: rows per batch; changes speed and memory, not the pictures. None takes at most 8.
        first_index: k of the first image, to make later images of a series alone.
        solver: an object, a registered name, or a mapping with the name under `component` and its fields. The
            bare name of the model's own solver keeps the fields that the model gives it; the same holds for
            the other components.
        time_grid: the times that the solver visits.
        guidance: how the conditional and the unconditional velocity are combined.
        rewriter: what happens to prompts before they are encoded.
        preset: one of `i1_sample.presets.PRESETS`, whose options hold where none is given.
    """

    height: int | None = _option(
        None, "of the pictures (default: the resolution)", "--height", metavar="PX", low=1
    )
    width: int | None = _option(
        None, "of the pictures (default: the resolution)", "--width", metavar="PX", low=1
    )
    negative_prompt: str | tuple[str | None, ...] | None = _option(
        None,
        "what all pictures are led away from (default: the model's null caption)",
        "--negative-prompt",
        metavar="TEXT",
    )
    num_inference_steps: int | None = _option(
        None,
        "steps of the solver (default: the model's)",
        "--steps",
        "--num-steps",
        metavar="N",
        low=1,
        high=MOST_STEPS,
    )
    strength: float | None = _option(
        None,
        "how much of --image is changed, above 0 to 1 (default: 0.8)",
        "--strength",
        metavar="S",
        low=SMALLEST_STRENGTH,
        high=1,
    )
    guidance_scale: float | None = _option(
        None,
        "1 is none (default: the model's)",
        "--guidance-scale",
        "--cfg-scale",
        "--cfg",
        metavar="W",
        low=-LARGEST_SCALE,
        high=LARGEST_SCALE,
    )
    guidance_rescale: float | None = _option(
        None,
        "0 to 1 (default: the model's)",
        "--guidance-rescale",
        "--cfg-rescale",
        metavar="PHI",
        low=0,
        high=1,
    )
    shift: float | None = _option(
        None, "of the time grid; 0 is none (default: the model's)", "--shift", metavar="S", low=0
    )
    seed: int | None = _option(
        None, "of the noise (default: a random one)", "--seed", metavar="N", low=0, high=LARGEST_SEED
    )
    num_images_per_prompt: int = _option(
        1, "pictures per prompt (default: 1)", "--num-images", metavar="N", low=1
    )
    batch_size: int | None = _option(
        None, "pictures at a time; changes speed and memory alone", "--batch-size", metavar="N", low=1
    )
    first_index: int = _option(
        0,
        "make images K, K+1, ... of this seed (default: 0)",
        "--first-index",
        metavar="K",
        low=0,
        high=2**31,
    )
    solver: Choice | SolverConfig | None = _option(
        None,
        "the integrator (default: the preset's or the model's)",
        "--solver",
        metavar="NAME",
        kind="solvers",
    )
    time_grid: Choice | TimeGridConfig | None = _option(
        None,
        "the times that the solver visits (default: the model's)",
        "--time-grid",
        metavar="NAME",
        kind="time_grids",
    )
    guidance: Choice | GuidanceConfig | None = _option(
        None,
        "how the velocities are combined (default: the model's)",
        "--guidance",
        metavar="NAME",
        kind="guidances",
    )
    rewriter: Choice | RewriterConfig | None = _option(
        None,
        "what happens to prompts before they are encoded (default: the model's)",
        "--rewriter",
        metavar="NAME",
        kind="rewriters",
    )
    preset: str | None = _option(
        None,
        "fast: 30 steps of dpmpp_2m; close: the same on equal steps, nearest to 250 steps of euler on the "
        "model scenes; an option that is given takes precedence",
        "--preset",
        choices=tuple(PRESETS),
    )

    def __post_init__(self) -> None:
        check_fields(self)


def parse_lora(choice: LoraChoice | LoraSetting) -> LoraSetting:
    """Returns a setting from a path, with the scale after a last colon.

    Raises:
        UserError: for a scale that is not a finite number.
    """
    if isinstance(choice, LoraSetting):
        return choice
    if isinstance(choice, tuple):
        return LoraSetting(path=_expanded(choice[0]), scale=float(choice[1]))
    path = _expanded(choice)
    before, colon, after = path.rpartition(":")
    if not colon or os.path.exists(path):  # noqa: PTH110  (a plain text as given)
        return LoraSetting(path=path)
    try:
        scale = float(after)
    except ValueError:
        raise UserError(
            f"lora {path!r}: {after!r} is not a scale; write PATH or PATH:SCALE, as in style:0.8"
        ) from None
    return LoraSetting(path=before, scale=scale)


def _expanded(path: Place) -> str:
    return str(user_path(os.fspath(path)))
