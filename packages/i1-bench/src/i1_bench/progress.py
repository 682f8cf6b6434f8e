"""A progress bar with the time left, on terminals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

_WIDTH = 24


def progress_bar(label: str) -> Callable[[int, int], None]:
    """Returns a function that shows how many of all things are done; it is silent where no person looks.

    Args:
        label: stands before the bar.
    """
    start = time.monotonic()

    def show(done: int, total: int) -> None:
        if not sys.stderr.isatty() or not total:
            return
        left = (time.monotonic() - start) * (total - done) / max(done, 1)
        bar = "#" * (_WIDTH * done // total)
        line = f"\r{label} [{bar:<{_WIDTH}}] {done} of {total}, {clock(left)} left "
        print(line, end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def clock(seconds: float) -> str:
    """Returns a time as people read it.

    Example:
        >>> clock(3725)
        '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
