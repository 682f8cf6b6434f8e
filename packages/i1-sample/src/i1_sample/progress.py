"""Progress bars on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from i1_sample.job import StepEvent


class StepBar:
    """Counts the steps of all images. The first step takes longest where it has to be compiled.

    Args:
        total: images times steps.
    """

    def __init__(self, total: int) -> None:
        columns = (TextColumn("sampling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("steps", total=total)

    def __enter__(self) -> Callable[[StepEvent], None]:
        self._bar.start()
        return lambda event: self._bar.advance(self._task, len(event.positions))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


@contextmanager
def loading_bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Shows on a terminal how many bytes of a part are read; yields the function to call, None elsewhere.

    A part without weights shows nothing.

    Args:
        what: the part.
    """
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("loading {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)

    def show(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()
