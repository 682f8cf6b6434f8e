"""LoRA files on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from i1_hooks import UserError

from i1_model.arrays.safetensors import safetensors_arrays
from i1_model.checkpoints.folder import LORA_FILE
from i1_model.checkpoints.workdir import MODEL, newest_checkpoint
from i1_model.lora.factors import Adapter
from i1_model.lora.formats import PEFT_METADATA, FormatName, decode, detect, encode

PEFT_FILE = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"


@dataclass(frozen=True, eq=False)
class LoraFile:
    """What a file holds.

    Attributes:
        path: of the file.
        format: of its keys.
        adapter: the arrays.
    """

    path: Path
    format: FormatName
    adapter: Adapter


def find_lora(path: str | os.PathLike[str]) -> Path:
    """Returns the LoRA file that a path stands for.

    Args:
        path: the file, a folder that holds one, a checkpoint, or the workdir of a run (its newest).

    Raises:
        UserError: when there is none.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    newest = newest_checkpoint(path, lambda checkpoint: _lora_in(checkpoint / MODEL) is not None)
    for folder in (path, path / MODEL, *([] if newest is None else [newest / MODEL])):
        if (found := _lora_in(folder)) is not None:
            return found
    raise UserError(f"no LoRA at {str(path)!r}: give a safetensors file, or a folder or run with {LORA_FILE}")


def _lora_in(folder: Path) -> Path | None:
    return next((folder / name for name in (LORA_FILE, PEFT_FILE) if (folder / name).is_file()), None)


def read_lora(path: str | os.PathLike[str], modules: Iterable[str] | None = None) -> LoraFile:
    """Reads a LoRA file in any of the formats, which its keys tell.

    Args:
        path: as for `find_lora`.
        modules: the PyTorch names of the model's layers; only kohya's keys need them.

    Raises:
        UserError: for a missing, truncated or foreign file.
    """
    path = find_lora(path)
    stored = safetensors_arrays(path)
    try:
        arrays = {key: np.asarray(array) for key, array in stored.items()}
        return LoraFile(path, detect(arrays), decode(arrays, _peft_config(path), modules))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def write_lora(
    path: Path, adapter: Adapter, name: FormatName, metadata: dict[str, str] | None = None
) -> Path:
    """Writes a LoRA file, whole or not at all.

    Args:
        path: of the file.
        adapter: the arrays, stored in their dtype.
        name: the format of the keys.
        metadata: more texts for the file's header.

    Raises:
        UserError: when it cannot be written.
    """
    arrays, described = encode(adapter, name)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(safetensors.numpy.save(arrays, metadata={**(metadata or {}), **described}))
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _peft_config(path: Path) -> dict[str, Any] | None:
    """Returns PEFT's configuration from the file's header or from `adapter_config.json` beside it."""
    with safetensors.safe_open(path, "np") as file:
        header = file.metadata() or {}
    text, where = header.get(PEFT_METADATA), path
    if text is None and (path.parent / PEFT_CONFIG).is_file():
        where = path.parent / PEFT_CONFIG
        text = where.read_text(encoding="utf-8")
    if text is None:
        return None
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UserError(f"the configuration in {where} is not JSON: {error}") from error
    return {key.removeprefix("transformer."): value for key, value in config.items()}
