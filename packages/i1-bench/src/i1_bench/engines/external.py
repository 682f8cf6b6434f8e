"""A judge in a process of its own, in any language and environment, that speaks JSON lines."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError, unknown

from i1_bench.judges import Judge, JudgeConfig, JudgeError, Picture

KINDS = ("verdict", "ocr", "vlm", "vqa", "detector", "similarity")


@dataclass(frozen=True, kw_only=True)
class External(JudgeConfig):
    """A program that reads questions from its input and writes answers to its output.

    A question is a line `{"id": 1, "image": "/absolute/path.png", "question": ...}`, its answer a line
    `{"id": 1, "answer": ...}` or `{"id": 1, "error": "why"}`, before the next question comes. The program
    ends with its input. What it writes to its error output is shown.

    Attributes:
        command: started once, as a shell would read it, without a shell.
        answers: the kind of judge it is: verdict, ocr, vlm, vqa, detector or similarity.
        name: of the judge and its version; it stands beside the scores.
    """

    command: str = ""
    answers: str = "vqa"
    name: str = ""

    def build(self) -> Judge:
        """Returns the judge.

        Raises:
            UserError: for a missing command or name, or an unknown kind.
        """
        if not self.command or not self.name:
            raise UserError("external: expected command=PROGRAM and name=JUDGE-VERSION")
        if self.answers not in KINDS:
            raise unknown("kind of judge", self.answers, KINDS)
        return ExternalJudge(self)

    def unrecorded(self) -> frozenset[str]:
        """Returns the fields that answers do not depend on, since the name says what answers."""
        return frozenset({"command"})


class ExternalJudge(Judge):
    """The judge of an `External`."""

    def __init__(self, config: External) -> None:
        self.kind = config.answers  # pyright: ignore[reportAttributeAccessIssue]
        self._command = config.command
        self._process: subprocess.Popen[str] | None = None
        self._number = 0
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="i1-bench-")

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    shlex.split(self._command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                )
            except OSError as error:
                raise UserError(f"cannot start the judge {self._command!r}: {error.strerror}") from error
        return self._process

    def answer(self, picture: Picture, question: Any) -> Any:
        """Asks the program."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            self._number += 1
            row = {"id": self._number, "image": str(self._file(picture)), "question": question}
            try:
                process.stdin.write(json.dumps(row) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            if not line:
                status = process.wait()
                raise UserError(
                    f"the judge {self._command!r} ended with status {status} instead of answering question "
                    f"{self._number}; what was answered is kept"
                )
        return self._read(line)

    def _read(self, line: str) -> Any:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or row.get("id") != self._number or not row.keys() & {"answer", "error"}:
            raise UserError(
                f"the judge {self._command!r} answered {line.strip()!r:.200}: expected one line "
                f'{{"id": {self._number}, "answer": ...}}'
            )
        if "error" in row:
            raise JudgeError(str(row["error"]))
        return row["answer"]

    def _file(self, picture: Picture) -> Path:
        if picture.file is not None:
            return picture.file.absolute()
        path = Path(self._folder.name) / "picture.png"
        path.write_bytes(picture.png)
        return path

    def close(self) -> None:
        """Ends the program."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        self._folder.cleanup()
