"""Memory of CPU programs, kept between steps instead of returned to the system after each."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # malloc.h of glibc
NEVER = -1


def keep_host_memory() -> bool:
    """Tells glibc's malloc to keep large freed blocks; call it before JAX starts its threads.

    XLA takes the temporary memory of a CPU program from malloc and frees it after every call. By default
    malloc maps such blocks anew each time, and the system zeroes them page by page. A per-thread arena maps
    every block of more than 64 MB whatever the settings, so all threads share one arena. See `man 3 mallopt`.

    Returns:
        Whether it was done; nothing changes without glibc on Linux.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER))
    return all(bool(mallopt(name, value)) for name, value in settings)
