"""A progress bar on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from i1_sample.pipeline import StepEvent


class StepBar:
    """Counts image steps; the first takes longest, since it compiles unless the cache has the program.

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
