"""SIGINT and SIGTERM as a request that the loop answers between two steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import jax
from jax.experimental import multihost_utils


class RunInterruptedError(RuntimeError):
    """The run was asked to stop, and saved before it did."""


class StopRequest:
    """Watches for SIGINT and SIGTERM while the block runs; a second signal has its usual effect at once.

    On several hosts jax watches for SIGTERM instead, on any of them, and makes all stop at the same step;
    SIGINT becomes a SIGTERM.

    Attributes:
        name: of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._usual: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        alone = jax.process_count() == 1
        handlers: dict[int, Any] = {signal.SIGINT: self._pass_on}
        if alone:
            handlers = {signal.SIGINT: self._note, signal.SIGTERM: self._note}
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number, handler in handlers.items():
                self._usual[number] = signal.signal(number, handler)
        return self

    def at(self, step: int) -> str | None:
        """Returns the name of the signal that ends the run after this step; on several hosts, on all of them.

        Args:
            step: a finished step; every host asks after every step.
        """
        if multihost_utils.reached_preemption_sync_point(step):  # on one host too: it came after joining
            self.name = signal.SIGTERM.name
        return self.name

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.name = signal.Signals(number).name
        self._restore()
        os.write(2, f"i1: {self.name}: saving after this step; once more to leave at once\n".encode())

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._restore()
        os.kill(os.getpid(), signal.SIGTERM)

    def _restore(self) -> None:
        for number, usual in self._usual.items():
            signal.signal(number, usual)
        self._usual = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
