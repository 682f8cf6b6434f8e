"""Options as keywords of Python: their types, and records made from them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from i1_hooks import unknown
from i1_model.sampling import Choice

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.options import Dtype, LoadOptions, LoraChoice, LoraSetting, Place, SampleOptions, parse_lora
from i1_sample.rewriters.base import RewriterConfig
from i1_sample.solvers.base import SolverConfig
from i1_sample.time_grids.base import TimeGridConfig

RecordT = TypeVar("RecordT", LoadOptions, SampleOptions)


class LoadKeywords(TypedDict, total=False):
    """The fields of `LoadOptions` but the model, as Python takes them."""

    revision: str | None
    resolution: int | None
    text_encoder: Place | None
    vae: Place | None
    vae_tile: int | None
    loras: Sequence[LoraChoice | LoraSetting]
    dtype: Dtype | None
    offload: bool
    sharding: Callable[[str, tuple[int, ...]], Any] | None


class SampleKeywords(TypedDict, total=False):
    """The fields of `SampleOptions`, as Python takes them."""

    height: int | None
    width: int | None
    negative_prompt: str | Sequence[str | None] | None
    num_inference_steps: int | None
    strength: float | None
    guidance_scale: float | None
    guidance_rescale: float | None
    shift: float | None
    seed: int | None
    num_images_per_prompt: int
    batch_size: int | None
    first_index: int
    solver: Choice | SolverConfig | None
    time_grid: Choice | TimeGridConfig | None
    guidance: Choice | GuidanceConfig | None
    rewriter: Choice | RewriterConfig | None
    preset: str | None


def load_options(model: Place | LoadOptions, keywords: Mapping[str, Any]) -> LoadOptions:
    """Returns the record that a model and keywords stand for; paths become text, LoRA choices settings.

    Raises:
        UserError: for an unknown keyword or a value that does not fit.
    """
    values = dict(keywords)
    for name in ("text_encoder", "vae"):
        if values.get(name) is not None:
            values[name] = os.fspath(values[name])
    if "loras" in values:
        values["loras"] = tuple(map(parse_lora, values["loras"]))
    if isinstance(model, LoadOptions):
        return with_options(model, values)
    return with_options(LoadOptions(model=os.fspath(model)), values)


def with_options(record: RecordT, keywords: Mapping[str, Any]) -> RecordT:
    """Returns a record with other values for some fields.

    Raises:
        UserError: for an unknown name, with the near ones, or a value that does not fit.
    """
    names = [f.name for f in dataclasses.fields(record)]
    for name in keywords:
        if name not in names:
            raise unknown("option", name, names)
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in keywords.items()}
    return dataclasses.replace(record, **given)
