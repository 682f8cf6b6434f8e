"""What a checkpoint was made with: versions of plugins and libraries, and the recipe's name."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Mapping

from i1_hooks import get_registry

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def installed_versions() -> dict[str, dict[str, str]]:
    """Returns the versions of the installed plugins and libraries."""
    return {
        "plugins": get_registry().installed(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def warn_of_other_versions(saved: Mapping[str, Mapping[str, str]]) -> None:
    """Prints a warning when a checkpoint was written with other versions than those installed now.

    Args:
        saved: versions of `plugins` and `libraries`, as `installed_versions` returned them then.
    """
    now = installed_versions()
    changed = [
        f"{name} {version} -> {now[kind].get(name, 'absent')}"
        for kind in now
        for name, version in saved.get(kind, {}).items()
        if now[kind].get(name) != version
    ]
    if changed:
        print(
            f"i1: warning: resuming with other versions, so not exactly: {', '.join(changed)}",
            file=sys.stderr,
        )
