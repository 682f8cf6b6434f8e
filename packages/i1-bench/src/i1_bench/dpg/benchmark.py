"""DPG-Bench as a component."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from i1_hooks import UserError
from i1_hooks.files import decode_text

from i1_bench.benchmarks import Benchmark, Judged, Outcome, Place, Request, Scores
from i1_bench.benchmarks import Question as JudgeQuestion
from i1_bench.dpg.questions import parse_questions
from i1_bench.dpg.scoring import RunScore, score_run
from i1_bench.engines.openai_vlm import VlmYesNo
from i1_bench.judges import JudgeConfig, digest
from i1_bench.prompts.catalogue import PromptFolder
from i1_bench.prompts.config import PublishedBenchmark, PublishedConfig, Row
from i1_bench.prompts.sets import read_json

QUESTIONS = "dpg_bench/dpg_bench.csv"
BLOB = "98457fc9901943f51ff9a30367250fc292533bed"
"""The git blob id of the published question file."""


@dataclass(frozen=True, kw_only=True)
class DpgConfig(PublishedConfig):
    """Dense prompts: 1,065 of them, four pictures each, questions about each picture.

    Attributes:
        questions: the question file; empty takes `dpg_bench/dpg_bench.csv` in the folder of prompts.
        judge: answers the questions by yes or no.
    """

    questions: str = ""
    judge: JudgeConfig = field(default_factory=VlmYesNo)

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        return Dpg(self)


def git_blob_id(data: bytes) -> str:
    """Returns the id that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def read_question_file(config: DpgConfig, folder: PromptFolder) -> bytes:
    """Returns the bytes of the question file.

    Raises:
        UserError: when it is missing, or is not the published one and `verify` is on.
    """
    path = Path(config.questions).expanduser() if config.questions else (folder.path or Path()) / QUESTIONS
    if not path.is_file():
        raise UserError(
            f"no question file {path}: DPG-Bench cannot be scored without dpg_bench.csv of the ELLA project; "
            f"give it with --set questions=FILE (git blob {BLOB[:12]})"
        )
    data = path.read_bytes()
    if config.verify and git_blob_id(data) != BLOB:
        raise UserError(
            f"{path} is another version: git blob {git_blob_id(data)[:12]}, not {BLOB[:12]}; scores of it "
            "cannot be compared, --set verify=false takes it all the same"
        )
    return data


class Dpg(PublishedBenchmark):
    """The benchmark of a `DpgConfig`."""

    name = "dpg"
    stem = "dpg"
    kinds: ClassVar[dict[str, tuple[str, ...]]] = {"vqa": ("vqa",)}
    scale = 100.0
    default_count = 4

    def __init__(self, config: DpgConfig) -> None:
        super().__init__(config)
        self._judge = config.judge
        self._config_file = config
        self._rows_of_questions: list[dict[str, str]] | None = None

    def read_rows(self, folder: PromptFolder) -> list[Row]:
        """Returns the prompts with their item ids."""
        rows = read_json(folder, "dpg_bench/dpg_bench.json")
        return [
            Row(text=text, category="all", spec=item, folder=f"{index:05d}/samples/{{j:05d}}.png")
            for index, (item, text) in enumerate(rows)
        ]

    def published_place(self, row: Row, number: int) -> Place | None:
        """Returns the tile of the grid that the published evaluation judges."""
        return Place(path=PurePosixPath(f"{row.spec}.png"), tile=number) if number < 4 else None

    def _question_rows(self) -> list[dict[str, str]]:
        if self._rows_of_questions is None:
            data = read_question_file(self._config_file, self._folder)
            text = decode_text(data, QUESTIONS)
            self._rows_of_questions = list(csv.DictReader(io.StringIO(text, newline="")))
        return self._rows_of_questions

    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the judge of yes-or-no questions."""
        return {"vqa": self._judge}

    def questions(self, request: Request) -> list[JudgeQuestion]:
        """Asks every question about the prompt, also those that only the fixed score counts."""
        questions = parse_questions(self._question_rows(), fixed=True).get(request.prompt.spec, [])
        return [JudgeQuestion(name=str(q.number), judge="vqa", content=q.text) for q in questions]

    def _run(self, judged: Sequence[Judged], *, fixed: bool = False) -> RunScore:
        """Returns the scores of the prompts all of whose pictures were judged."""
        questions = parse_questions(self._question_rows(), fixed=fixed)
        answers: dict[str, list[dict[int, str]]] = {}
        incomplete: set[str] = set()
        for one in judged:
            item = one.request.prompt.spec
            given = {int(number): answer for number, answer in one.answers.items()}
            answers.setdefault(item, []).append(given)
            if not {q.number for q in questions.get(item, ())} <= given.keys():
                incomplete.add(item)
        whole = {item: given for item, given in answers.items() if item not in incomplete}
        return score_run(questions, whole, fixed=fixed)

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns the score of each picture; the pictures of one prompt together have the weight 1."""
        run = self._run(judged)
        numbers: dict[str, int] = {}
        outcomes = []
        for one in judged:
            item = one.request.prompt.spec
            number = numbers[item] = numbers.get(item, -1) + 1
            score = run.items.get(item)
            if score is None:
                outcomes.append(Outcome(credit=0.0, weight=0.0, reason=run.failed.get(item, "")))
                continue
            share = 1 / len(score.pictures)
            wrong = [str(q) for q, value in score.raw[number].items() if not value]
            reason = f"no to questions {', '.join(wrong)}" if wrong else ""
            outcomes.append(Outcome(credit=share * score.pictures[number], weight=share, reason=reason))
        return outcomes

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns the mean over prompts, 0 to 100."""
        del seed
        run, fixed = self._run(judged), self._run(judged, fixed=True)
        return Scores(
            score=run.score,
            fixed=fixed.score,
            categories=run.categories,
            details={"detailed_categories": run.details, "failed_items": run.failed},
        )

    def accepts(self, question: JudgeQuestion, answer: Any) -> bool:
        """Tells whether an answer is a text."""
        del question
        return isinstance(answer, str)

    def identity(self) -> dict[str, Any]:
        """Adds the digest of the questions, when there are any."""
        found = super().identity()
        try:
            return {**found, "questions": digest(self._question_rows())}
        except UserError:  # pictures can be made without questions; judging then names the missing file
            return found
