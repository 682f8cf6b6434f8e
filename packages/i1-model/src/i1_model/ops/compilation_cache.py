"""Where JAX keeps compiled programs, so that the second start of a command compiles nothing."""

from __future__ import annotations

import importlib
import os
import time
import zlib
from pathlib import Path
from typing import Any

SUFFIX = "-cache"
"""End of the name of every program that JAX keeps."""
CHECKED = ".i1-checked"
"""Empty file whose time says up to when all programs in the folder have been checked."""


_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def cache_folder() -> Path:
    """Returns the default folder: `$XDG_CACHE_HOME/i1/jax`, or `~/.cache/i1/jax`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "i1" / "jax"


def enable_compilation_cache(min_compile_seconds: float | None = None) -> Path | None:
    """Turns JAX's persistent compilation cache on for this process.

    A folder that `JAX_COMPILATION_CACHE_DIR` or the program has already set is kept; an empty
    `JAX_COMPILATION_CACHE_DIR` turns the cache off. Programs that a full disk cut short are removed, since
    JAX would neither read them nor write them again.

    Args:
        min_compile_seconds: programs that compile faster are not kept; `None` for JAX's own limit. The
            variable `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS` takes precedence.

    Returns:
        The folder in use, or `None` when the cache is off.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    settings: Any = jax.config  # it makes its attributes at run time
    if os.environ.get("JAX_COMPILATION_CACHE_DIR") == "" or not settings.jax_enable_compilation_cache:
        return None
    folder = settings.jax_compilation_cache_dir
    if folder is None:
        folder = str(cache_folder())
        jax.config.update("jax_compilation_cache_dir", folder)
        # JAX decides at its first compilation whether there is a cache, and that may already be over.
        compilation_cache.reset_cache()
    if min_compile_seconds is not None and "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", min_compile_seconds)
    remove_damaged(Path(folder))
    return Path(folder)


def remove_damaged(folder: Path) -> list[str]:
    """Removes compiled programs that are cut short, and returns their names.

    Only programs that are newer than the last check are read. One that another process is just writing may be
    removed as well: that process keeps what it compiled. A folder that cannot be read or written is left as
    it is: JAX itself says what it cannot use.

    Args:
        folder: the folder of the cache; it may be absent.
    """
    now, stamp = time.time(), folder / CHECKED
    removed = []
    try:
        since = stamp.stat().st_mtime if stamp.exists() else 0.0
        for file in folder.glob(f"*{SUFFIX}"):
            changed = file.stat().st_mtime
            if changed >= since and not _is_whole(file.read_bytes()):
                file.unlink()
                removed.append(file.name)
        if folder.is_dir():
            stamp.touch()
            os.utime(stamp, (now, now))
    except OSError:  # another process removes files too, and the cache may be read-only
        return removed
    return removed


def _is_whole(data: bytes) -> bool:
    """Says whether compressed data can be decompressed to its end."""
    if data.startswith(_ZSTANDARD):  # JAX compresses so where the library is installed
        try:
            zstandard: Any = importlib.import_module("zstandard")
        except ImportError:
            return True
        try:
            zstandard.ZstdDecompressor().decompress(data)
        except zstandard.ZstdError:
            return False
        return True
    try:
        zlib.decompress(data)
    except zlib.error:
        return False
    return True
