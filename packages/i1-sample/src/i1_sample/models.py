"""Finding the folder of a trained model."""

from __future__ import annotations

import os
from pathlib import Path

from i1_hooks import Registry, UserError, get_registry, unknown


def find_model(model: str | os.PathLike[str], registry: Registry | None = None) -> Path:
    """Returns the model folder that a path or a name stands for.

    Args:
        model: a model folder, a checkpoint (with its model inside), the workdir of a training run (its newest
            checkpoint), or the name of a registered model. A folder goes before a name.
        registry: where names are looked up; the process-wide one by default.

    Raises:
        UserError: when there is no such model.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return _inside(path)
    registry = registry or get_registry()
    name = os.fspath(model)
    if path.exists():
        raise UserError(f"model {name!r} is a file; give a model folder, a training workdir or a name")
    names = registry.components("models")
    if name not in names:
        if os.sep in name or name.startswith((".", "~")):
            raise UserError(
                f"model {name!r}: no such folder; give one, or a name: {', '.join(sorted(names))}"
            )
        raise unknown("model", name, names, note="A folder works too, but none has that name")
    return Path(registry.load("models", name)())


def _inside(path: Path) -> Path:
    for folder in (path, path / "model"):
        if _is_complete(folder):
            return folder
    checkpoints = path / "checkpoints"
    saved = [
        folder
        for folder in checkpoints.glob("*/model")
        if folder.parent.name.isdigit() and _is_complete(folder)
    ]
    if saved:
        return max(saved, key=lambda folder: int(folder.parent.name))
    if checkpoints.is_dir():
        raise UserError(f"model {str(path)!r}: the run has no complete checkpoint yet in {checkpoints}")
    raise UserError(
        f"model {str(path)!r} is neither a model folder (config.json, model.safetensors) "
        "nor a training workdir (checkpoints/STEP/model)"
    )


def _is_complete(folder: Path) -> bool:
    weights = ("model.safetensors", "pytorch_lora_weights.safetensors")
    return (folder / "config.json").is_file() and any((folder / name).is_file() for name in weights)
