"""Thousands of pictures into one folder: resumable, split over hosts, and never of mixed settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError, to_dict
from i1_hooks.files import read_json, write_atomically
from PIL import Image

from i1_sample.job import Job, StepEvent
from i1_sample.keywords import with_options
from i1_sample.options import SampleOptions
from i1_sample.pipeline import Pipeline
from i1_sample.png import describe, png_bytes
from i1_sample.prompts import match_negatives

MANIFEST = "manifest.json"
_CHUNK = 64
"""Pictures that are planned at a time."""


@dataclass(frozen=True)
class Shard:
    """The part of all pictures that one process makes.

    Attributes:
        index: which part, from 0.
        count: number of parts.
    """

    index: int = 0
    count: int = 1


def parse_shard(text: str) -> Shard:
    """Returns the shard that `I/N` names, I from 0.

    Raises:
        UserError: for another form, or an I that is not below N.
    """
    index, slash, count = text.partition("/")
    if not slash or not index.isdecimal() or not count.isdecimal() or int(index) >= int(count):
        raise UserError(f"--shard {text!r}: write I/N, with I from 0 to N - 1, as in 0/4")
    return Shard(int(index), int(count))


def run_bulk(
    pipeline: Pipeline,
    prompts: Sequence[str],
    options: SampleOptions,
    folder: Path,
    shard: Shard | None = None,
    on_event: Callable[[StepEvent], None] | None = None,
) -> list[Path]:
    """Makes the pictures that a folder lacks, `00000.png`, `00001.png`, ... in the order of the prompts.

    The folder's `manifest.json` says which pictures belong into it and how they are made. A file appears
    whole or not at all, so that whatever is there is done; several processes may work on one folder.

    Args:
        pipeline: the model.
        prompts: all prompts, of all shards.
        options: how pictures are made. Without a seed the manifest's is used, or one is drawn.
        folder: made when absent.
        shard: which pictures this process makes; None is all.
        on_event: told of every step.

    Returns:
        The paths of the pictures that were made now.

    Raises:
        UserError: for a folder with pictures of other prompts or settings, or one that cannot be written.
    """
    shard = shard or Shard()
    if options.first_index:
        raise UserError(f"first_index {options.first_index} does not apply: pictures are numbered by prompt")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    options = _claim(pipeline, prompts, options, folder)
    texts = [prompt for prompt in prompts for _ in range(options.num_images_per_prompt)]
    mine = range(shard.index, len(texts), shard.count)
    missing = [position for position in mine if not (folder / _name(position)).exists()]
    made: list[Path] = []
    negatives = match_negatives(options.negative_prompt, len(prompts))
    negatives = [negative for negative in negatives for _ in range(options.num_images_per_prompt)]
    for positions in _runs(missing):
        changes: dict[str, Any] = {"num_images_per_prompt": 1, "first_index": positions[0]}
        if negatives:
            changes["negative_prompt"] = tuple(negatives[position] for position in positions)
        batch = with_options(options, changes)
        job = pipeline.plan([texts[position] for position in positions], batch)
        for event in pipeline.run(job):
            if on_event is not None:
                on_event(event)
            if event.is_last:
                made += _write(pipeline, job, event, folder)
    return made


def _write(pipeline: Pipeline, job: Job, event: StepEvent, folder: Path) -> Iterator[Path]:
    for place, pixels in zip(event.positions, event.images(), strict=True):
        data = png_bytes(Image.fromarray(pixels), describe(pipeline, job, place))
        try:
            yield write_atomically(folder / _name(job.first_index + place), data, overwrite=False)
        except FileExistsError:  # another process made the same picture
            continue


def _name(position: int) -> str:
    return f"{position:05d}.png"


def _runs(positions: Sequence[int]) -> Iterator[list[int]]:
    """Yields runs of neighbouring positions, which share a plan, of limited length."""
    run: list[int] = []
    for position in positions:
        if run and (position != run[-1] + 1 or len(run) == _CHUNK):
            yield run
            run = []
        run.append(position)
    if run:
        yield run


def _claim(pipeline: Pipeline, prompts: Sequence[str], options: SampleOptions, folder: Path) -> SampleOptions:
    """Writes the manifest, or compares it with the one that is there; returns options with a seed.

    Raises:
        UserError: naming what differs.
    """
    path = folder / MANIFEST
    job = pipeline.plan(prompts[0], with_options(options, {"negative_prompt": None, "rewriter": "none"}))
    if path.exists():
        found = read_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("seed"), int):
            raise UserError(f"{path} is not a manifest of pictures; choose another folder")
        options = with_options(options, {"seed": found["seed"] if options.seed is None else options.seed})
        _compare(found, _manifest(pipeline, prompts, options, job), folder)
        return options
    if any(folder.glob("*.png")):
        raise UserError(f"{folder} holds pictures but no {MANIFEST}; choose an empty folder")
    options = with_options(options, {"seed": job.seed})
    manifest = _manifest(pipeline, prompts, options, job)
    try:
        write_atomically(path, json.dumps(manifest, indent=2) + "\n", overwrite=False)
    except FileExistsError:  # another process was faster
        return _claim(pipeline, prompts, options, folder)
    return options


def _manifest(pipeline: Pipeline, prompts: Sequence[str], options: SampleOptions, job: Job) -> dict[str, Any]:
    negative, rewriter = options.negative_prompt, options.rewriter
    return {
        "num_images": len(prompts) * options.num_images_per_prompt,
        "num_images_per_prompt": options.num_images_per_prompt,
        "prompts_sha256": hashlib.sha256(json.dumps(list(prompts)).encode()).hexdigest(),
        "seed": options.seed,
        "width": job.width,
        "height": job.height,
        "negative_prompt": list(negative) if isinstance(negative, tuple) else negative,
        "rewriter": to_dict(pipeline.defaults.rewriter if rewriter is None else rewriter),
        "model": pipeline.name,
        "model_step": pipeline.metadata.get("step"),
        "revision": pipeline.revision,
        "loras": [str(lora) for lora in pipeline.loras],
        "settings": to_dict(job.settings),
    }


def _compare(found: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    differing = [
        f"{name}: {json.dumps(found.get(name))[:80]} there, {json.dumps(value)[:80]} asked for"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if differing:
        raise UserError(
            f"{folder} holds pictures of other settings ({'; '.join(differing)}); choose another folder, or "
            f"the settings of its {MANIFEST}"
        )
