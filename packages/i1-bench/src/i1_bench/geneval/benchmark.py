"""GenEval as a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from i1_bench.benchmarks import Benchmark, Judged, Outcome, Question, Request, Scores
from i1_bench.engines.mask2former import Mask2FormerClip
from i1_bench.geneval.decision import Decision, Detection, Thresholds, decide
from i1_bench.geneval.summary import Outcome as Correctness
from i1_bench.geneval.summary import overall_fixed, reference_report, summarise
from i1_bench.judges import JudgeConfig
from i1_bench.prompts.catalogue import PromptFolder
from i1_bench.prompts.config import PublishedBenchmark, PublishedConfig, Row
from i1_bench.prompts.sets import read_lines

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")


@dataclass(frozen=True, kw_only=True)
class GenEvalConfig(PublishedConfig):
    """Objects, counts, colours and positions of 553 prompts, four pictures each.

    Attributes:
        judge: finds the objects; a detector.
        thresholds: of the decision.
    """

    judge: JudgeConfig = field(default_factory=Mask2FormerClip)
    thresholds: Thresholds = field(default_factory=Thresholds)

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        return GenEval(self)


class GenEval(PublishedBenchmark):
    """The benchmark of a `GenEvalConfig`."""

    name = "geneval"
    stem = "geneval"
    kinds: ClassVar[dict[str, tuple[str, ...]]] = {"detector": ("detector",)}
    default_count = 4

    def __init__(self, config: GenEvalConfig) -> None:
        super().__init__(config)
        self._judge, self._thresholds = config.judge, config.thresholds

    def read_rows(self, folder: PromptFolder) -> list[Row]:
        """Returns the prompts with their metadata."""
        rows = read_lines(folder, "geneval/evaluation_metadata.jsonl")
        return [
            Row(
                text=row["prompt"],
                category=row["tag"],
                spec={**row, "index": index},
                folder=f"{index:05d}/samples/{{j:05d}}.png",
            )
            for index, row in enumerate(rows)
        ]

    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the detector."""
        return {"detector": self._judge}

    def questions(self, request: Request) -> list[Question]:
        """Asks for the objects of the classes that the prompt names, and the colours of the best boxes."""
        clauses = [*request.prompt.spec.get("include", ()), *request.prompt.spec.get("exclude", ())]
        colours: dict[str, int] = {}
        for clause in clauses:
            if clause.get("color"):
                name = clause["class"]
                colours[name] = max(colours.get(name, 0), clause["count"])
        content = {"classes": list(dict.fromkeys(clause["class"] for clause in clauses)), "colours": colours}
        return [Question(name="objects", judge="detector", content=content)]

    def decide(self, one: Judged) -> Decision | None:
        """Returns the decision on one picture; None when it was not judged."""
        if "objects" not in one.answers:
            return None
        detections = {
            name: [Detection(box=np.array(row["box"], np.float32), colour=row.get("colour")) for row in rows]
            for name, rows in one.answers["objects"].items()
        }
        return decide(one.request.prompt.spec, detections, self._thresholds)

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns whether each picture is correct, with the tags as groups."""
        return [self._outcome(one) for one in judged]

    def _outcome(self, one: Judged) -> Outcome:
        group, decision = one.request.prompt.category, self.decide(one)
        if decision is None:
            return Outcome(credit=0.0, weight=0.0, group=group)
        return Outcome(credit=float(decision.correct), group=group, reason="; ".join(decision.reasons))

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns the unweighted mean of the tags' accuracies over pictures."""
        del seed
        found = [
            Correctness(
                prompt_index=one.request.prompt.spec["index"],
                tag=one.request.prompt.category,
                correct=decision.correct,
            )
            for one in judged
            if (decision := self.decide(one)) is not None
        ]
        summary = summarise(found)
        return Scores(
            score=summary.overall,
            fixed=overall_fixed(found, TAGS),
            categories={tag: correct / total for tag, (correct, total) in summary.tags.items()},
            details={"image_accuracy": summary.image_accuracy, "prompt_accuracy": summary.prompt_accuracy},
            reference_report=reference_report(summary) if found else (),
        )

    def accepts(self, question: Question, answer: Any) -> bool:
        """Tells whether an answer has a list of boxes for every class."""
        if not isinstance(answer, Mapping):
            return False
        return all(
            isinstance(rows, list)
            and all(isinstance(row, Mapping) and len(row.get("box", ())) == 5 for row in rows)
            for rows in (answer.get(name) for name in question.content["classes"])
        )
