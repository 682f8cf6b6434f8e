"""Signals and a closed output as a request to stop, which the loop answers between two steps."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TextIO

import jax
from jax.experimental import multihost_utils

CLOSED = (errno.EPIPE, errno.EIO)
"""What writing to a closed pipe and to a closed terminal fails with."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunInterruptedError(RuntimeError):
    """The run was asked to stop, and saved its state before it did."""


class StopRequest:
    """Watches for SIGINT, SIGTERM and SIGHUP while the block runs; a second signal has its usual effect at
    once.

    A signal that the process was started to ignore stays ignored, as `nohup` does with SIGHUP. On several
    hosts jax watches for SIGTERM on all of them, and makes all stop at the same step; the other signals
    become a SIGTERM.

    Attributes:
        reason: the name of the signal that came, or another reason to stop; `None` while there is none.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._usual: dict[int, signal._HANDLER] = {}
        self._alone = True

    def __enter__(self) -> StopRequest:
        self._alone = jax.process_count() == 1
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in STOPPING:
                watched = self._alone or number != signal.SIGTERM
                if watched and signal.getsignal(number) is not signal.SIG_IGN:
                    self._usual[number] = signal.signal(number, self._on_signal)
        return self

    def at(self, step: int) -> str | None:
        """Returns why the run stops after this step, `None` if it continues; the same on all hosts.

        Args:
            step: number of a finished step; every host asks after every step.
        """
        if multihost_utils.reached_preemption_sync_point(step):  # jax watches a single joined host too
            self.reason = self.reason or signal.SIGTERM.name
        return self.reason

    def request(self, reason: str) -> None:
        """Asks the run to stop after its current step, on several hosts all of them."""
        if self._alone:
            self.reason = self.reason or reason
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._restore()
        self.request(signal.Signals(number).name)
        if self._alone:
            note = f"i1: {self.reason}: saving after this step; send it again to leave at once\n"
            with contextlib.suppress(OSError):  # the terminal may be what was closed
                os.write(2, note.encode())

    def _restore(self) -> None:
        for number, usual in self._usual.items():
            signal.signal(number, usual)
        self._usual = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()


@contextlib.contextmanager
def survive_closed_output(on_closed: Callable[[], None]) -> Iterator[None]:
    """Lets a block continue when its output is closed, as by the end of `head` or of a terminal.

    Args:
        on_closed: called when writing to standard output or standard error fails for this reason.
    """
    usual = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Surviving(stream, on_closed) for stream in usual)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = usual


class _Surviving:
    """A text stream that tells when it is closed, and discards its output from then on."""

    def __init__(self, stream: TextIO, on_closed: Callable[[], None]) -> None:
        self._stream = stream
        self._on_closed = on_closed
        self._closed = False

    def write(self, text: str) -> int:
        """Writes a text, or discards it."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered, or discards it."""
        self._try(self._stream.flush)

    def _try(self, call: Callable[[], object]) -> None:
        if self._closed:
            return
        try:
            call()
        except OSError as error:
            if error.errno not in CLOSED:
                raise
            self._closed = True
            discard(self._stream)
            self._on_closed()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def discard(stream: TextIO) -> None:
    """Sends the rest of a stream's output to the null device, so that closing it does not fail either."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file has nothing to close
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
