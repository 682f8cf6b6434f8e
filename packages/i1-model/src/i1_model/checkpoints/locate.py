"""Where a model is: a name, a folder or file of any form, or a repository on the Hub."""

from __future__ import annotations

import os
from pathlib import Path

from i1_hooks import Registry, UserError, get_registry, unknown

from i1_model.checkpoints.folder import CONFIG_FILE, LORA_FILE, WEIGHTS_FILE
from i1_model.checkpoints.hub import Snapshot, fetch, is_repository
from i1_model.checkpoints.stored import (
    MODEL_INDEX,
    PUBLISHED_RESOLUTIONS,
    TORCH_FILE,
    TRANSFORMER,
    nearest_resolution,
)
from i1_model.checkpoints.workdir import CHECKPOINTS, MODEL, newest_checkpoint

_SUFFIXES = (".npz", ".pt", ".safetensors", ".safetensors.index.json")
_NPZ = "checkpoint.npz-"
_UNIT = 16
"""Pixels that a latent of two by two patches stands for, in every published model."""


def locate_model(
    model: str | os.PathLike[str], resolution: int | None = None, revision: str | None = None
) -> tuple[Path, Snapshot | None]:
    """Returns the file or folder of a model, downloaded when it is a repository that is not here.

    Args:
        model: as for `find_model`, or a repository on the Hub, `owner/name` or `owner/name@revision`.
        resolution: chooses among the published checkpoints of a repository, in pixels.
        revision: a branch, a tag or a commit hash of the repository.

    Returns:
        What `i1_model.checkpoints.stored.open_stored` takes, or the folder of an adapter; and the repository
        when the model comes from the Hub.

    Raises:
        UserError: when there is no such model, or a revision is given for a local one.
    """
    name = os.fspath(model)
    if not Path(model).expanduser().exists() and is_repository(name):
        if resolution is not None and (resolution < 1 or resolution % _UNIT):
            raise UserError(f"resolution {resolution}: use a positive multiple of {_UNIT}")
        side = nearest_resolution(resolution or max(PUBLISHED_RESOLUTIONS))
        patterns = (
            CONFIG_FILE,
            f"{WEIGHTS_FILE}*",
            MODEL_INDEX,
            f"{TRANSFORMER}/*",
            TORCH_FILE.format(side),
        )
        snapshot = fetch(name, patterns, revision=revision, instead="a folder")
        return snapshot.folder, snapshot
    if revision is not None:
        raise UserError(f"revision {revision!r} does not apply: {name!r} is not a repository on the Hub")
    return find_model(model), None


def find_model(model: str | os.PathLike[str], registry: Registry | None = None) -> Path:
    """Returns the file or folder that a path or a name stands for; nothing is downloaded.

    Args:
        model: a model folder, a checkpoint (with its model inside), the workdir of a training run (its newest
            checkpoint), a folder in the layout of diffusers, a released file or a folder of them, or the name
            of a registered model. What exists on disk goes before a name.
        registry: where names are looked up; the process-wide one by default.

    Raises:
        UserError: when there is no such model.
    """
    path = Path(model).expanduser()
    name = os.fspath(model)
    if path.is_dir():
        return _inside(path)
    if path.exists():
        if path.name.endswith(_SUFFIXES) or path.name.startswith(_NPZ):
            return path
        raise UserError(
            f"model {name!r} is a file of another kind; give a released file ({_NPZ}STEP, .pt, "
            ".safetensors), a model folder, a training workdir or a name"
        )
    registry = registry or get_registry()
    names = registry.components("models")
    if name not in names:
        if os.sep in name or name.startswith((".", "~")) or name.endswith(_SUFFIXES):
            raise UserError(
                f"model {name!r}: no such file or folder; give one, or a name: {', '.join(sorted(names))}"
            )
        raise unknown("model", name, names, note="A file or folder works too, but none has that name")
    return Path(registry.load("models", name)())


def _inside(path: Path) -> Path:
    for folder in (path, path / MODEL):
        if _is_model_folder(folder):
            return folder
    newest = newest_checkpoint(path, lambda checkpoint: _is_model_folder(checkpoint / MODEL))
    if newest is not None:
        return newest / MODEL
    if _holds_released(path):
        return path
    if (path / CHECKPOINTS).is_dir():
        raise UserError(
            f"model {str(path)!r}: the run has no complete checkpoint yet in {path / CHECKPOINTS}"
        )
    raise UserError(
        f"model {str(path)!r} is neither a model folder ({CONFIG_FILE}, {WEIGHTS_FILE}) nor a training "
        f"workdir ({CHECKPOINTS}/STEP/{MODEL}), a diffusers folder ({MODEL_INDEX}) or one of released files"
    )


def _is_model_folder(folder: Path) -> bool:
    """Tells whether a folder holds a model, or an adapter, in our own form."""
    weights = (WEIGHTS_FILE, f"{WEIGHTS_FILE}.index.json", LORA_FILE)
    return (folder / CONFIG_FILE).is_file() and any((folder / name).is_file() for name in weights)


def _holds_released(folder: Path) -> bool:
    """Tells whether a folder is in the layout of diffusers, or holds released checkpoints."""
    patterns = (MODEL_INDEX, "diffusion_pytorch_model.safetensors*", TORCH_FILE.format("*"), f"{_NPZ}*")
    return any(next(folder.glob(pattern), None) for pattern in patterns)
