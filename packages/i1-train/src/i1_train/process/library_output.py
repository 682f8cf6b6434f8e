"""What libraries print about an error that a run reports in one line."""

from __future__ import annotations

import logging
import sys
from typing import Any

LOGGERS = ("absl", "asyncio")
"""Where orbax's threads log the traceback of an error that they also raise."""


def silence_checkpoint_tracebacks() -> None:
    """Keeps orbax and tensorstore from printing tracebacks when a checkpoint cannot be written.

    Of the arrays that are written concurrently, the first that fails ends orbax's event loop. Tensorstore
    then cannot deliver the results of the others, which Python reports as errors that nobody can catch.
    """
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    usual = sys.unraisablehook

    def hook(unraisable: Any, /) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            usual(unraisable)

    sys.unraisablehook = hook
