"""Answers that were given elsewhere and lie in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError, unknown
from i1_hooks.files import parse_json, read_text, split_lines

from i1_bench.engines.external import KINDS
from i1_bench.judges import Judge, JudgeConfig, JudgeError, Picture


@dataclass(frozen=True, kw_only=True)
class Recorded(JudgeConfig):
    """The answers of a judge on another machine: JSON lines of `pixels`, `question` and `answer`.

    `i1 bench judge --write-questions` writes the lines that need an answer, with `pixels`, the digest of the
    picture.

    Attributes:
        path: the file of answers.
        answers: the kind of judge that gave them.
        name: of that judge and its version; it stands beside the scores.
    """

    path: str = ""
    answers: str = "vqa"
    name: str = ""

    def build(self) -> Judge:
        """Returns the judge.

        Raises:
            UserError: for a file that is missing or damaged, or an unknown kind.
        """
        if not self.path or not self.name:
            raise UserError("recorded: expected path=FILE and name=JUDGE-VERSION")
        if self.answers not in KINDS:
            raise unknown("kind of judge", self.answers, KINDS)
        return RecordedJudge(self)

    def unrecorded(self) -> frozenset[str]:
        """Returns the fields that answers do not depend on, since the name says what answers."""
        return frozenset({"path"})


class RecordedJudge(Judge):
    """The judge of a `Recorded`."""

    def __init__(self, config: Recorded) -> None:
        self.kind = config.answers  # pyright: ignore[reportAttributeAccessIssue]
        self._path = config.path
        self._answers: dict[tuple[str, str], Any] = {}
        for number, line in enumerate(split_lines(read_text(Path(config.path).expanduser())), 1):
            if not line.strip():
                continue
            where = f"{config.path}, line {number}"
            row = parse_json(line, where)
            if not isinstance(row, dict) or not {"pixels", "question", "answer"} <= row.keys():
                raise UserError(f"{where}: expected an object with pixels, question and answer")
            self._answers[row["pixels"], _text(row["question"])] = row["answer"]

    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns the recorded answer."""
        try:
            return self._answers[picture.digest, _text(question)]
        except KeyError:
            raise JudgeError(
                f"{self._path} has no answer to {_text(question)[:80]} about this picture"
            ) from None


def _text(question: Any) -> str:
    return json.dumps(question, sort_keys=True, ensure_ascii=False)
