"""Where JAX keeps compiled programs, so that the second start of a run compiles nothing."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns the folder that sampling uses too: `$XDG_CACHE_HOME/i1/jax`, or `~/.cache/i1/jax`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "i1" / "jax"


def enable_compilation_cache() -> None:
    """Turns JAX's persistent compilation cache on for this process.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder; when it is empty the cache stays off.
    """
    import jax

    if (
        "JAX_COMPILATION_CACHE_DIR" not in os.environ
        and jax.config.values["jax_compilation_cache_dir"] is None
    ):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
