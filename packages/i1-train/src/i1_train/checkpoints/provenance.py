"""What a run was made with: plugins, libraries, recipe."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

from i1_hooks import get_registry, to_dict

from i1_train.config import TrainConfig

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def versions() -> dict[str, dict[str, str]]:
    """Returns the installed plugins and libraries with their versions."""
    return {
        "plugins": get_registry().installed(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def warn_of_versions(record: dict[str, Any]) -> None:
    """Says when a checkpoint was written with other plugins or libraries than those installed now."""
    now = versions()
    changed = [
        f"{name} {version} -> {now[kind].get(name, 'absent')}"
        for kind in now
        for name, version in record.get(kind, {}).items()
        if now[kind].get(name) != version
    ]
    if changed:
        print(
            f"i1: warning: resuming with other versions, so not exactly: {', '.join(changed)}",
            file=sys.stderr,
        )


def model_metadata(config: TrainConfig, step: int) -> dict[str, Any]:
    """Returns what a model folder says about how it was made."""
    return {
        "step": step,
        "recipe": config.recipe,
        "preview_prompts": list(config.preview_prompts),
        "sampling": to_dict(config.sampling),
    }
