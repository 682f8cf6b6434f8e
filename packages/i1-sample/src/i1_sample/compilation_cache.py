"""Where JAX keeps compiled programs between runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Returns the default folder: `$XDG_CACHE_HOME/i1/jax`, or `~/.cache/i1/jax`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "i1" / "jax"


def enable_compilation_cache() -> Path | None:
    """Turns JAX's persistent compilation cache on, so that a second run does not compile again.

    A folder that is already set, by `JAX_COMPILATION_CACHE_DIR` or by the program, is kept; an empty
    `JAX_COMPILATION_CACHE_DIR` turns the cache off.

    Returns:
        The folder in use, or `None` when the cache is off.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    settings: Any = jax.config  # whose attributes are made at run time
    if os.environ.get("JAX_COMPILATION_CACHE_DIR") == "" or not settings.jax_enable_compilation_cache:
        return None
    folder = settings.jax_compilation_cache_dir
    if folder is None:
        folder = str(cache_folder())
        jax.config.update("jax_compilation_cache_dir", folder)
        # JAX decides at its first compilation whether there is a cache; decide again, that may be past.
        compilation_cache.reset_cache()
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # Sampling a small model is a handful of programs of a few hundred milliseconds each.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return Path(folder)
