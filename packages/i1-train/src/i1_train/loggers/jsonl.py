"""Metrics as JSON lines."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from i1_hooks import UserError

from i1_train.loggers.base import Logger, LoggerConfig


@dataclass(frozen=True, kw_only=True)
class Jsonl(LoggerConfig):
    """A file in the workdir with one JSON object per step: `step`, `loss` and the other metrics.

    A run always writes `metrics.jsonl`, with or without this logger. A value that is not finite is `null`.

    Attributes:
        file: name of the file.
    """

    file: str = "metrics.jsonl"

    def build(self, workdir: Path, step: int) -> JsonlLogger:
        """Opens the file and removes what comes after the line of step `step`."""
        return JsonlLogger(workdir / self.file, step)


class JsonlLogger(Logger):
    """Appends to a JSON-lines file."""

    def __init__(self, path: Path, step: int) -> None:
        self._file = open_lines(path, step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes one line."""
        values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self._file.write(json.dumps({"step": step, **values}).encode() + b"\n")
        self._file.flush()

    def flush(self) -> None:
        """Syncs the file to disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def open_lines(path: Path, step: int) -> BinaryIO:
    """Opens a file of JSON lines for appending, after removing damaged lines and those after step `step`.

    Raises:
        UserError: when it cannot be written.
    """
    try:
        file = path.open("a+b")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    file.seek(0)
    end = 0
    for line in file:
        if not line.endswith(b"\n") or _step_of(line) > step:
            break
        end += len(line)
    file.truncate(end)
    return file


def _step_of(line: bytes) -> float:
    """Returns the step of a line, infinity for a damaged line."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
