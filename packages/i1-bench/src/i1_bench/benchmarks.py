"""The contract of a benchmark: the pictures it asks for, the questions about each, the scores of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, ClassVar

from i1_hooks import ComponentConfig

from i1_bench.judges import JudgeConfig, Verdict


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One text that asks for a picture.

    Attributes:
        text: what the model is given.
        category: the group it is scored in.
        split: the part of the benchmark it belongs to.
        spec: what pictures are held against, in the benchmark's own terms.
        key: what several pictures of the same prompt share; empty stands for `text`.
    """

    text: str
    category: str
    split: str
    spec: Any
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a picture lies in a folder.

    Attributes:
        path: the file, relative to the folder.
        tile: in a grid of two by two: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
    """

    path: PurePosixPath
    tile: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """One picture of a run.

    Attributes:
        prompt: what to show.
        path: where generation writes it, a PNG file relative to the folder of pictures.
        noise: which noise of the run's seed it starts from; the same for the same path in a larger run.
        published: where the published evaluation expects it, when that is another place.
    """

    prompt: Prompt
    path: PurePosixPath
    noise: int
    published: Place | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """One call of a judge about one picture.

    Attributes:
        name: unique among the questions about the picture.
        judge: which of the benchmark's judges is asked.
        content: what it is asked, in the terms of its kind.
    """

    name: str
    judge: str
    content: Any


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One picture with the answers about it.

    Attributes:
        request: what was asked for.
        answers: raw answers by question; those that failed are missing.
    """

    request: Request
    answers: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one picture contributes to the score.

    The score of a run is the mean over groups of `sum of credit / sum of weight`, times the scale of the
    benchmark.

    Attributes:
        credit: what it earned.
        weight: what it could count for; 0 when nothing about it counts.
        group: pictures of one group share one mean.
        reason: why credit was lost, in a few words.
    """

    credit: float
    weight: float = 1.0
    group: str = ""
    reason: str = ""

    @property
    def value(self) -> float | None:
        """Credit over weight; None when nothing about the picture counts."""
        return self.credit / self.weight if self.weight else None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of a run.

    Attributes:
        score: as the published evaluation computes it, quirks included; None when nothing was judged.
        fixed: without the quirks; None when it cannot be computed.
        categories: the published score of each category.
        details: further numbers, JSON-ready.
        reference_report: the lines that the published evaluation prints or writes.
    """

    score: float | None
    fixed: float | None = None
    categories: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    reference_report: Sequence[str] = ()


class Benchmark(ABC):
    """A set of prompts together with the way their pictures are judged and scored."""

    name: str
    scale: float = 1.0
    """The score of a perfect run."""
    default_count: int = 1
    """Pictures of each prompt, or of each category, of a full run."""
    kinds: ClassVar[dict[str, tuple[str, ...]]]
    """For each judge that questions name, the kinds it may be of."""

    @abstractmethod
    def requests(self, count: int, seed: int) -> list[Request]:
        """Returns every picture of a run; a run of a larger `count` contains those of a smaller one.

        Args:
            count: pictures of each prompt, or of each category when prompts are drawn from categories.
            seed: of whatever is drawn.
        """

    @abstractmethod
    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the judges by the name that questions use."""

    @abstractmethod
    def questions(self, request: Request) -> list[Question]:
        """Returns what is asked about one picture."""

    @abstractmethod
    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns what each picture contributes to the score, in the same order."""

    @abstractmethod
    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns the scores of a run from the recorded answers alone.

        Args:
            judged: every picture of the run, with the answers there are.
            seed: of resamplings, for details that have intervals of their own.
        """

    def headline(self, scores: Mapping[str, Any]) -> str:
        """Returns what `scores.json` holds as a few lines of text for a terminal."""
        width = max((len(name) for name in scores["categories"]), default=0)
        lines = [f"{name:{width}}  {value:8.4g}" for name, value in scores["categories"].items()]
        return "\n".join([*lines, headline(self.name, scores)])

    def accepts(self, question: Question, answer: Any) -> bool:
        """Tells whether an answer can be used; otherwise the call failed, and the next run asks again."""
        del question, answer
        return True

    def identity(self) -> dict[str, Any]:
        """Returns what the pictures depend on besides model, seed and count, JSON-ready."""
        return {}


def headline(name: str, scores: Mapping[str, Any]) -> str:
    """Returns the score of a benchmark with its interval and the number of judged pictures in one line."""
    counts = scores["counts"]
    judged = f"{counts['judged']} of {counts['pictures']} pictures judged"
    if scores["score"] is None:
        return f"{name}: no score, {judged}"
    low, high = scores["interval"]
    return f"{name}: {scores['score']:.4g}, 95% interval {low:.4g} to {high:.4g}, {judged}"


class BenchmarkConfig(ComponentConfig, kind="benchmarks"):
    """Base of every configuration of a benchmark."""

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        raise NotImplementedError(f"{type(self).__name__}.build")


class VerdictBenchmark(Benchmark):
    """A benchmark with one judge that says of each picture how right it is."""

    kinds: ClassVar[dict[str, tuple[str, ...]]] = {"verdict": ("verdict",)}

    @abstractmethod
    def judge(self) -> JudgeConfig:
        """Returns the judge, a `i1_bench.judges.VerdictJudge`; it is given the `spec` of the prompt."""

    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the one judge."""
        return {"verdict": self.judge()}

    def questions(self, request: Request) -> list[Question]:
        """Returns the one question."""
        return [Question(name="verdict", judge="verdict", content=request.prompt.spec)]

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns the verdicts, with the categories as groups."""
        return [self._outcome(one) for one in judged]

    def _outcome(self, one: Judged) -> Outcome:
        group = one.request.prompt.category
        if "verdict" not in one.answers:
            return Outcome(credit=0.0, weight=0.0, group=group)
        verdict = Verdict.from_answer(one.answers["verdict"])
        return Outcome(credit=verdict.score, group=group, reason=verdict.reason)

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns the mean over groups of the mean score of their pictures."""
        del seed
        groups: dict[str, list[float]] = {}
        for outcome in self.outcomes(judged):
            if outcome.weight:
                groups.setdefault(outcome.group, []).append(outcome.credit)
        categories = {name: sum(values) / len(values) for name, values in groups.items()}
        mean = sum(categories.values()) / len(categories) if categories else None
        return Scores(score=mean, fixed=mean, categories=categories)
