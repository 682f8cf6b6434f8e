"""Writes a stored model in another form, array by array."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Literal

from i1_hooks import UserError, unknown

from i1_model.arrays.dtypes import WeightDtype, weight_dtype
from i1_model.arrays.json_object import JsonObject
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.loading import Progress
from i1_model.arrays.safetensors_writer import SHARD_BYTES, Written, split_shards, write_safetensors
from i1_model.arrays.torch_writer import write_torch
from i1_model.checkpoints import diffusers_folder as hub
from i1_model.checkpoints.folder import CONFIG_FILE, FORMAT, WEIGHTS_FILE, to_record
from i1_model.checkpoints.names import check_fit
from i1_model.checkpoints.released import WeightsName
from i1_model.checkpoints.stored import MODEL_INDEX, TRANSFORMER, StoredModel
from i1_model.checkpoints.torch_names import rope_tables, to_torch_names
from i1_model.conversion.destination import new_place, write_file
from i1_model.lora.merged import open_model
from i1_model.sampling import read_sampling

Form = Literal["i1", "diffusers", "torch"]
_STEM = "diffusion_pytorch_model"
FORMS: tuple[Form, ...] = ("i1", "diffusers", "torch")


def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    form: Form,
    *,
    weights: WeightsName = "ema",
    resolution: int | None = None,
    dtype: WeightDtype | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> Path:
    """Writes a model in another form; it appears whole or not at all.

    One array is in memory at a time. Values are copied bit for bit unless a dtype is given.

    Args:
        source: what `i1_model.lora.merged.open_model` takes; a LoRA's folder is added to its base.
        destination: a new folder, or for `"torch"` a new file.
        form: `"i1"`, a model folder; `"diffusers"`, a repository in the layout of diffusers; `"torch"`, the
            form of the released `.pt`.
        weights: which ones of a training checkpoint.
        resolution: pixels; None is the model's own. Among published checkpoints it selects the nearest.
        dtype: the dtype of the written arrays; None keeps that of each.
        shard_bytes: bytes of one safetensors file of `"diffusers"`.
        progress: called with the bytes done and in all.

    Returns:
        The destination.

    Raises:
        UserError: for a source that cannot be read or does not fit its configuration, a model that has no
            such form, a destination that exists or cannot be written, and a full disk.
    """
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    destination = Path(destination).expanduser()
    if form == "torch" and destination.suffix != ".pt":
        raise UserError(f"{destination}: the torch form is one file; give a name that ends in .pt")
    with open_model(source, weights=weights, resolution=resolution) as stored:
        try:
            check_fit(stored.config, stored.arrays)
        except UserError as error:
            raise UserError(f"{stored.path}: {error}") from error
        if dtype is not None:
            target = weight_dtype(dtype)
            arrays = {name: array.astype(target) for name, array in stored.arrays.items()}
        else:
            arrays = dict(stored.arrays)
        record = to_record(stored.config, stored.metadata)
        if form != "i1":
            arrays = {**to_torch_names(arrays), **rope_tables(stored.config)}
        total, done = sum(array.nbytes for array in arrays.values()), 0

        def written(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        with new_place(destination, total) as part:
            if form == "torch":
                about = {"config": hub.released_config(stored.config), "i1": record}
                write_file(part, lambda file: write_torch(file, about, arrays, "model", written))
            elif form == "diffusers":
                _write_diffusers(part, stored, record, arrays, written, shard_bytes)
            else:
                part.mkdir()
                named = {name.replace("/", "."): array for name, array in sorted(arrays.items())}
                about = {"format": FORMAT}
                write_file(part / WEIGHTS_FILE, lambda file: write_safetensors(file, named, about, written))
                write_file(part / CONFIG_FILE, _json(record))
    return destination


def _write_diffusers(
    folder: Path,
    stored: StoredModel,
    record: JsonObject,
    arrays: dict[str, LazyArray],
    written: Written,
    shard_bytes: int,
) -> None:
    shift = read_sampling(stored.metadata.get("sampling", {})).shift
    shift = 1.0 if shift is None else shift
    title = str(stored.metadata.get("recipe") or stored.path.stem)
    num_parameters = sum(array.size for name, array in arrays.items() if not name.startswith("rope_"))
    transformer, scheduler = folder / TRANSFORMER, folder / "scheduler"
    transformer.mkdir(parents=True)
    scheduler.mkdir()
    about = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "i1",
        "modelspec.title": title,
        "modelspec.resolution": f"{stored.config.resolution}x{stored.config.resolution}",
    }
    files, index = split_shards(_STEM, arrays, shard_bytes=shard_bytes)
    for name, shard in files.items():
        write_file(
            transformer / name, partial(write_safetensors, arrays=shard, metadata=about, written=written)
        )
    if index is not None:
        write_file(transformer / f"{_STEM}.safetensors.index.json", index)
    write_file(transformer / CONFIG_FILE, _json(hub.transformer_config(stored.config, record)))
    write_file(scheduler / "scheduler_config.json", _json(hub.scheduler_config(shift)))
    write_file(folder / MODEL_INDEX, _json(hub.model_index()))
    write_file(folder / "README.md", hub.model_card(title, stored.config, num_parameters, shift))


def _json(data: JsonObject) -> str:
    return json.dumps(data, indent=2) + "\n"
