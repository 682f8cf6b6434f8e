"""What a person sees of a run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from i1_train.timing import is_due


class Display(Protocol):
    """Shows the finished steps of a run."""

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows the metrics of a finished step."""
        ...

    def say(self, line: str) -> None:
        """Prints one line."""
        ...

    def close(self) -> None:
        """Ends the display."""
        ...


def make_display(title: str, step: int, total: int, log_every: int) -> Display:
    """Returns a bar where the output is a terminal, else plain lines every `log_every` steps."""
    console = Console(highlight=False, soft_wrap=True)
    return Bar(console, title, step, total) if console.is_terminal else Lines(total, log_every)


class Bar:
    """A rich progress bar."""

    def __init__(self, console: Console, title: str, step: int, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task(title, total=total, completed=step, numbers="compiling")
        self._progress.start()

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Moves the bar."""
        numbers = f"loss {metrics['loss']:.4f}  {metrics['images_per_second']:.1f} images/s"
        self._progress.update(self._task, completed=step, numbers=numbers)

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(line, markup=False)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._progress.stop()


class Lines:
    """One plain line every few steps."""

    def __init__(self, total: int, log_every: int) -> None:
        self._total = total
        self._log_every = log_every

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Prints the line of a step when one is due."""
        if is_due(step, self._log_every, self._total):
            self.say(f"step {step}/{self._total}  {describe(metrics)}")

    def say(self, line: str) -> None:
        """Prints a line."""
        print(line, flush=True)

    def close(self) -> None:
        """Does nothing."""


def describe(metrics: Mapping[str, float]) -> str:
    """Returns the numbers of a step as text."""
    return (
        f"loss {metrics['loss']:.4f}  grad {metrics['grad_norm']:.3f}  lr {metrics['learning_rate']:.2e}  "
        f"{metrics['images_per_second']:.1f} images/s"
    )
