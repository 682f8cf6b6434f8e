"""Progress of a run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from i1_hooks.text import one_line
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from i1_train.monitoring.timing import is_due


class Display(Protocol):
    """Shows the progress of a run."""

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows the metrics of a finished step."""
        ...

    def say(self, line: str) -> None:
        """Prints one line."""
        ...

    def close(self) -> None:
        """Removes the display."""
        ...


def make_display(title: str, step: int, total: int, log_every: int) -> Display:
    """Returns a bar if the output is a terminal, else plain lines every `log_every` steps."""
    console = Console(highlight=False, soft_wrap=True)
    return Bar(console, title, step, total) if console.is_terminal else Lines(total, log_every)


class NoDisplay:
    """The display of every host but the first, which shows nothing."""

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Ignores a step."""

    def say(self, line: str) -> None:
        """Ignores a line."""

    def close(self) -> None:
        """Ends without output."""


class Pace:
    """Estimates the time left from the time that the steps so far took.

    The first step of a process, which compiles, is left out.

    Args:
        total: number of steps of the run.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._begin: tuple[int, float] | None = None

    def left(self, step: int) -> str:
        """Returns the time left after a finished step as text; `--:--` while it is unknown."""
        now = self._clock()
        if self._begin is None:
            self._begin = (step, now)
        first_step, first_time = self._begin
        if step == first_step:
            return "--:--"
        seconds = round((self._total - step) * (now - first_time) / (step - first_step))
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


class Bar:
    """A rich progress bar."""

    def __init__(self, console: Console, title: str, step: int, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=console,
        )
        self._pace = Pace(total)
        self._task = self._progress.add_task(title, total=total, completed=step, numbers="compiling")
        self._progress.start()

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Moves the bar."""
        numbers = f"{describe(metrics)}  {self._pace.left(step)} left"
        self._progress.update(self._task, completed=step, numbers=numbers)

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(one_line(line), markup=False)

    def close(self) -> None:
        """Stops updating the bar."""
        self._progress.stop()


class Lines:
    """A plain line every few steps."""

    def __init__(self, total: int, log_every: int) -> None:
        self._total = total
        self._log_every = log_every
        self._pace = Pace(total)

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Prints a line for the step if one is due."""
        left = self._pace.left(step)
        if is_due(step, self._log_every, self._total):
            print(f"step {step}/{self._total}  {describe(metrics)}  {left} left", flush=True)

    def say(self, line: str) -> None:
        """Prints a line."""
        print(one_line(line), flush=True)

    def close(self) -> None:
        """Ends without further output."""


def describe(metrics: Mapping[str, float]) -> str:
    """Returns the metrics of a step as text, with speed, utilisation and device memory if they are known."""
    memory = metrics.get("memory/device", metrics["memory/host"])
    parts = [
        f"loss {metrics['loss']:.4f}",
        *([f"held-out {metrics['held_out/loss']:.4f}"] if "held_out/loss" in metrics else []),
        f"grad {metrics['grad_norm']:.3f}",
        f"lr {metrics['learning_rate']:.2e}",
        *([f"{metrics['images_per_second']:.1f} images/s"] if "images_per_second" in metrics else []),
        *([f"MFU {metrics['utilisation']:.1%}"] if "utilisation" in metrics else []),
        f"{memory:.1f} GiB",
    ]
    return "  ".join(parts)
