"""Running the application under uvicorn, with an end that loses nothing in silence."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from i1_server.service import Service


def serve(app: FastAPI, service: Service, listener: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT; a second signal does not wait for running work.

    Args:
        app: what answers.
        service: told of the first signal.
        listener: a bound socket.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(service.limits.stop_seconds)),
        h11_max_incomplete_event_size=2**16,
    )
    _Server(config, service).run(sockets=[listener])


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Lets the service refuse new work while uvicorn waits for open connections."""
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)
        self._service.begin_stopping_soon()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles signals without raising them again afterwards: to be told to stop is no failure."""
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
