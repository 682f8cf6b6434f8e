"""The file of recorded answers: appended to while judging, sorted when done, whole after a crash."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from i1_hooks import UserError

from i1_bench.stages.run_folder import json_line, write_lines

_COLUMNS = {"key", "image", "question", "judge", "answer"}


class AnswerFile:
    """Answers by key, kept on disk.

    A line holds `key`, `image`, `question`, `judge` and `answer`. The key is a digest of the pixels, the
    judge and the question: an answer is used again for the same picture, and never for a changed one.

    Args:
        path: the file; what an interrupted write left of a last line is cut off.

    Raises:
        UserError: for a file that is no file of answers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[dict[str, Any]] = []
        self._by_key: dict[str, dict[str, Any]] = {}
        self._file = None
        if path.exists():
            self._load()

    def _load(self) -> None:
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:end].splitlines(), 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or not row.keys() >= _COLUMNS:
                raise UserError(
                    f"{self.path}, line {number}, is no recorded answer; delete the line and judge again"
                )
            self._keep(row)
        if end < len(data):
            os.truncate(self.path, end)

    def get(self, key: str) -> dict[str, Any] | None:
        """Returns the row of a key, or None."""
        return self._by_key.get(key)

    def _keep(self, row: dict[str, Any]) -> None:
        self._rows.append(row)  # pictures with the same pixels share a key, and have a row each
        self._by_key[row["key"]] = row

    def rows(self) -> list[dict[str, Any]]:
        """Returns all rows in the order of the file."""
        return list(self._rows)

    def add(self, row: dict[str, Any]) -> None:
        """Appends a row; it is on disk, as far as this process can tell, before the call returns.

        Raises:
            UserError: when it cannot be written.
        """
        try:
            if self._file is None:
                self._file = self.path.open("ab")
            self._file.write(json_line(row).encode())
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror}; nothing recorded is lost, run again later"
            ) from error
        self._keep(row)

    def finish(self, rows: list[dict[str, Any]]) -> None:
        """Replaces the file by these rows, in this order."""
        self._close()
        write_lines(self.path, rows)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> AnswerFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
