"""The stage that asks the judges."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError

from i1_bench.benchmarks import Benchmark, Question, Request
from i1_bench.judges import Judge, JudgeError, Picture, describe, digest
from i1_bench.stages.answers import AnswerFile
from i1_bench.stages.pictures import Folder
from i1_bench.stages.run_folder import FAILURES, JUDGED, QUESTIONS, claim, write_lines

MAX_FAILURES = 20
"""This many failed calls in a row end the stage: the judge is gone, not one picture is odd."""

Progress = Callable[[int, int], None]
"""Called with the numbers of things done and of all."""


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One question about one picture, with the key of its answer."""

    request: Request
    question: Question
    picture: Picture
    key: str

    def row(self, judge: str) -> dict[str, Any]:
        return {
            "key": self.key,
            "image": str(self.request.path),
            "question": self.question.name,
            "judge": judge,
        }


def judge_run(
    benchmark: Benchmark,
    requests: Sequence[Request],
    pictures: Folder,
    output: Path,
    *,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Asks what was not answered yet, and writes `judged.jsonl` and `failures.jsonl`.

    Answers are on disk as they come; when all questions were asked, the file is put into the order of the
    requests, so that it does not depend on interruptions.

    Args:
        benchmark: what is asked.
        requests: the pictures of the run.
        pictures: the folder that holds them.
        output: the folder of the run.
        progress: told how many pictures are done.

    Returns:
        the failures: `image`, `question` (empty when the picture itself failed) and `error`.

    Raises:
        UserError: for a judge of the wrong kind, a judge that fails `MAX_FAILURES` times in a row, or a full
            disk; what was answered is kept.
    """
    configs = benchmark.judges()
    with contextlib.ExitStack() as stack:
        judges: dict[str, Judge] = {}
        for name, config in configs.items():
            judges[name] = config.build()
            stack.callback(judges[name].close)
            check_kind(benchmark, name, judges[name])
        identity = {name: describe(configs[name], judge) for name, judge in judges.items()}
        claim(output, {"judges": identity})
        names = {name: f"{identity[name]['component']}@{digest(identity[name])}" for name in judges}
        answers = stack.enter_context(AnswerFile(output / JUDGED))
        stage = _Stage(benchmark, judges, names, answers)
        try:
            stage.run(requests, pictures, progress)
        finally:
            write_lines(output / FAILURES, stage.failures)
        answers.finish(stage.ordered_rows({str(request.path) for request in requests}))
    return stage.failures


def write_questions(benchmark: Benchmark, pictures: Folder, output: Path) -> Path:
    """Writes `questions.jsonl`, what a judge on another machine needs; see `engines.recorded.Recorded`.

    Args:
        benchmark: what is asked.
        pictures: the folder that holds them.
        output: the folder of the run.

    Returns:
        the file: a line holds `image`, the picture's `file` and perhaps the `tile` in it, `judge`, `question`
        and `pixels`, the digest of the picture.

    Raises:
        UserError: naming the first picture that is missing.
    """
    rows = []
    for request in pictures.requests:
        try:
            picture = pictures.read(request)
        except JudgeError as failure:
            raise UserError(f"{failure}: every picture is needed for questions") from failure
        place = pictures.place(request)
        rows += [
            {
                "image": str(request.path),
                "file": str(pictures.file(request)),
                "tile": place.tile,
                "judge": question.judge,
                "question": question.content,
                "pixels": picture.digest,
            }
            for question in benchmark.questions(request)
        ]
    path = output / QUESTIONS
    write_lines(path, rows)
    return path


def check_kind(benchmark: Benchmark, name: str, judge: Judge) -> None:
    """Raises a `UserError` when a judge is of a kind that the benchmark cannot ask."""
    kinds = benchmark.kinds[name]
    if judge.kind not in kinds:
        raise UserError(
            f"{benchmark.name} cannot ask a judge of kind {judge.kind!r} as its {name}: "
            f"expected {' or '.join(kinds)}"
        )


class _Stage:
    """The state of one call of `judge_run`."""

    def __init__(
        self, benchmark: Benchmark, judges: dict[str, Judge], names: dict[str, str], answers: AnswerFile
    ) -> None:
        self._benchmark, self._judges, self._names, self._answers = benchmark, judges, names, answers
        self._keys: dict[tuple[str, str], str] = {}
        self._in_a_row = 0
        self.failures: list[dict[str, Any]] = []

    def run(self, requests: Sequence[Request], pictures: Folder, progress: Progress | None) -> None:
        workers = max(judge.concurrency for judge in self._judges.values())
        pool = ThreadPoolExecutor(workers)
        pending: dict[Future[Any], list[_Call]] = {}
        waiting: dict[str, list[_Call]] = {}
        try:
            for done, request in enumerate(requests, 1):
                for call in self._calls(request, pictures):
                    if call.key in waiting:  # the same pixels and question are being asked already
                        waiting[call.key].append(call)
                        continue
                    if self._answers.get(call.key) is not None:
                        continue
                    waiting[call.key] = [call]
                    judge = self._judges[call.question.judge]
                    future = pool.submit(judge.answer, call.picture, call.question.content)
                    pending[future] = waiting[call.key]
                    if len(pending) >= workers:
                        self._take(pending, waiting)
                if progress is not None:
                    progress(done, len(requests))
            while pending:
                self._take(pending, waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _calls(self, request: Request, pictures: Folder) -> Iterator[_Call]:
        try:
            picture = pictures.read(request)
        except JudgeError as failure:
            self.failures.append({"image": str(request.path), "question": "", "error": str(failure)})
            return
        for question in self._benchmark.questions(request):
            if question.judge not in self._judges:
                raise UserError(
                    f"question {question.name!r} asks the judge {question.judge!r}, which is not there"
                )
            content = [picture.digest, self._names[question.judge], question.content]
            call = _Call(request=request, question=question, picture=picture, key=digest(content))
            self._keys[str(request.path), question.name] = call.key
            yield call

    def _take(self, pending: dict[Future[Any], list[_Call]], waiting: dict[str, list[_Call]]) -> None:
        """Waits for an answer and records all that came."""
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            calls = pending.pop(future)
            del waiting[calls[0].key]
            try:
                answer = future.result()
                if not self._benchmark.accepts(calls[0].question, answer):
                    raise JudgeError(f"the answer cannot be used: {str(answer)[:300]!r}")
            except JudgeError as failure:
                self._fail(calls, failure)
                continue
            self._in_a_row = 0
            self._answers.add({**calls[0].row(self._names[calls[0].question.judge]), "answer": answer})

    def _fail(self, calls: list[_Call], failure: JudgeError) -> None:
        for call in calls:
            place = {"image": str(call.request.path), "question": call.question.name}
            self.failures.append({**place, "error": str(failure)})
        self._in_a_row += 1
        if self._in_a_row >= MAX_FAILURES:
            raise UserError(
                f"the judge failed {self._in_a_row} times in a row, last: {failure}; what was answered is "
                "kept, run again once it works"
            ) from failure

    def ordered_rows(self, images: set[str]) -> list[dict[str, Any]]:
        """Returns the answers about these pictures in the order of the questions, then those about others."""
        rows = []
        for (image, question), key in self._keys.items():
            row = self._answers.get(key)
            if row is not None:
                rows.append({**row, "image": image, "question": question})
        return rows + [row for row in self._answers.rows() if row["image"] not in images]
