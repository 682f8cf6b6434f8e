"""LongText-Bench as a component."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from i1_bench.benchmarks import Benchmark, Judged, Outcome, Question, Request, Scores
from i1_bench.engines.openai_vlm import OpenAiVlm
from i1_bench.judges import JudgeConfig
from i1_bench.longtext.scoring import Match, match, text_score
from i1_bench.prompts.catalogue import PromptFolder
from i1_bench.prompts.config import PublishedBenchmark, PublishedConfig, Row
from i1_bench.prompts.sets import read_lines

INSTRUCTION = (
    "Recognize the text in the image, only reply with the text content, but avoid repeating previously "
    "mentioned content. If no text is recognized, please reply with 'No text recognized'."
)
"""What the published evaluation asks its judge."""


@dataclass(frozen=True, kw_only=True)
class LongTextConfig(PublishedConfig):
    """Long written texts in 160 prompts, four pictures each.

    Attributes:
        judge: reads the text: a model that replies to an instruction, or an OCR engine as a stand-in.
    """

    judge: JudgeConfig = field(default_factory=lambda: OpenAiVlm(model="Qwen/Qwen2.5-VL-7B-Instruct"))

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        return LongText(self)


class LongText(PublishedBenchmark):
    """The benchmark of a `LongTextConfig`."""

    name = "longtext"
    stem = "longtext"
    kinds: ClassVar[dict[str, tuple[str, ...]]] = {"reader": ("vlm", "ocr")}
    default_count = 4

    def __init__(self, config: LongTextConfig) -> None:
        super().__init__(config)
        self._judge = config.judge

    def read_rows(self, folder: PromptFolder) -> list[Row]:
        """Returns the prompts with the texts they ask for."""
        return [
            Row(
                text=row["prompt"],
                category=row["category"],
                spec={"text": row["text"], "length": row["length"]},
                folder=f"{index:04d}_{{j}}.png",
                published=f"{row['prompt_id']}_{{j}}.png",
            )
            for index, row in enumerate(read_lines(folder, "longtext/text_prompts.jsonl"))
        ]

    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the reader."""
        return {"reader": self._judge}

    def questions(self, request: Request) -> list[Question]:
        """Asks for the text in the picture."""
        del request
        return [Question(name="text", judge="reader", content=INSTRUCTION)]

    def _match(self, one: Judged, *, fixed: bool = False) -> Match | None:
        if "text" not in one.answers:
            return None
        answer = one.answers["text"]
        reply = answer if isinstance(answer, str) else "\n".join(answer)
        return match(one.request.prompt.spec["text"], reply, fixed=fixed)

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns the words matched in each picture; a picture weighs what it has words."""
        outcomes = []
        for one in judged:
            found = self._match(one)
            matched, total = (found.matched, found.total) if found else (0, 0)
            reason = f"{total - matched} of {total} words missing" if matched < total else ""
            outcomes.append(Outcome(credit=matched, weight=total, reason=reason))
        return outcomes

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns matched words over all words."""
        del seed
        matches = [(one, found) for one in judged if (found := self._match(one)) is not None]
        score = text_score([found for _, found in matches])
        groups: dict[str, list[Match]] = {}
        for one, found in matches:
            prompt = one.request.prompt
            groups.setdefault(prompt.category, []).append(found)
            groups.setdefault(prompt.spec["length"], []).append(found)
        scores = {name: text_score(found) for name, found in groups.items()}
        fixed = [self._match(one, fixed=True) for one, _ in matches]
        return Scores(
            score=score,
            fixed=text_score([found for found in fixed if found is not None]),
            categories={name: value for name, value in sorted(scores.items()) if value is not None},
            details={
                "words": dict(
                    Counter(
                        matched=sum(m.matched for _, m in matches), total=sum(m.total for _, m in matches)
                    )
                )
            },
            reference_report=[f"Text Score: {score:.4f}"] if score is not None else (),
        )

    def accepts(self, question: Question, answer: Any) -> bool:
        """Tells whether an answer is a text or a list of lines."""
        del question
        is_lines = isinstance(answer, list) and all(isinstance(line, str) for line in answer)
        return is_lines or isinstance(answer, str)
