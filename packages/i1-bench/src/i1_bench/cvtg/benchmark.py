"""CVTG-2K as a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from i1_bench.benchmarks import Benchmark, Judged, Outcome, Question, Request, Scores
from i1_bench.cvtg.scoring import CLIP_PREFIX, total
from i1_bench.cvtg.words import Reading, read, wanted_words
from i1_bench.engines.rapid_ocr import RapidOcr
from i1_bench.judges import JudgeConfig
from i1_bench.prompts.catalogue import PromptFolder
from i1_bench.prompts.config import PublishedBenchmark, PublishedConfig, Row
from i1_bench.prompts.sets import read_json

SUBSETS = tuple(f"{kind}/{regions}" for kind in ("CVTG", "CVTG-Style") for regions in (2, 3, 4, 5))


@dataclass(frozen=True, kw_only=True)
class CvtgConfig(PublishedConfig):
    """Several short texts in each of 2,000 prompts, one picture each.

    Attributes:
        judge: reads the texts; an OCR engine.
        similarity: compares picture and prompt for CLIPScore; None leaves it out.
    """

    judge: JudgeConfig = field(default_factory=RapidOcr)
    similarity: JudgeConfig | None = None

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        return Cvtg(self)


class Cvtg(PublishedBenchmark):
    """The benchmark of a `CvtgConfig`."""

    name = "cvtg-2k"
    stem = "CVTG-2K"
    kinds: ClassVar[dict[str, tuple[str, ...]]] = {"ocr": ("ocr",), "similarity": ("similarity",)}
    max_count = 1

    def __init__(self, config: CvtgConfig) -> None:
        super().__init__(config)
        self._judge, self._similarity = config.judge, config.similarity

    def read_rows(self, folder: PromptFolder) -> list[Row]:
        """Returns the prompts of all subsets."""
        rows: list[Row] = []
        for subset in SUBSETS:
            for entry in read_json(folder, f"cvtg-2k/prompts/{subset}.json")["data_list"]:
                path, published = f"{len(rows):05d}.png", f"{subset}/{entry['index']}.png"
                text = entry["prompt"]
                rows.append(Row(text=text, category=subset, spec=text, folder=path, published=published))
        return rows

    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the OCR engine, and the judge of CLIPScore when there is one."""
        found = {"ocr": self._judge}
        return found if self._similarity is None else {**found, "similarity": self._similarity}

    def questions(self, request: Request) -> list[Question]:
        """Asks for the lines of text, and for the similarity with the original prompt."""
        found = [Question(name="lines", judge="ocr", content="")]
        if self._similarity is None:
            return found
        text = CLIP_PREFIX + request.prompt.spec
        return [*found, Question(name="similarity", judge="similarity", content=text)]

    def _reading(self, one: Judged, *, fixed: bool = False) -> Reading | None:
        if "lines" not in one.answers:
            return None
        return read(wanted_words(one.request.prompt.spec), one.answers["lines"], fixed=fixed)

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns the words read in each picture; a picture weighs what it has words."""
        outcomes = []
        for one in judged:
            found = self._reading(one)
            correct, words = (found.correct, found.total) if found else (0, 0)
            reason = f"{words - correct} of {words} words not read" if correct < words else ""
            outcomes.append(Outcome(credit=correct, weight=words, reason=reason))
        return outcomes

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns words read over all words of all subsets."""
        del seed
        readings = [(one, found) for one in judged if (found := self._reading(one)) is not None]
        subsets = {}
        for subset in SUBSETS:
            here = [(one, found) for one, found in readings if one.request.prompt.category == subset]
            if here:
                subsets[subset] = total([found for _, found in here], _similarities([one for one, _ in here]))
        overall = total([found for _, found in readings], _similarities(judged))
        fixed = [self._reading(one, fixed=True) for one, _ in readings]
        has_words = overall.words > 0
        return Scores(
            score=overall.word_accuracy if has_words else None,
            fixed=total([found for found in fixed if found is not None]).word_accuracy if has_words else None,
            categories={subset: totals.word_accuracy for subset, totals in subsets.items()},
            details={"overall": asdict(overall), "subsets": {s: asdict(t) for s, t in subsets.items()}},
        )

    def accepts(self, question: Question, answer: Any) -> bool:
        """Tells whether an answer is a list of lines, or a number."""
        if question.name == "similarity":
            return isinstance(answer, float | int)
        return isinstance(answer, list) and all(isinstance(line, str) for line in answer)


def _similarities(judged: Sequence[Judged]) -> list[float]:
    return [one.answers["similarity"] for one in judged if "similarity" in one.answers]
