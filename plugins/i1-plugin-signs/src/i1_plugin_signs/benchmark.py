"""The benchmark: a prompt file, an OCR judge, and what its answer is worth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from i1_bench.benchmarks import (
    Benchmark,
    BenchmarkConfig,
    Judged,
    Outcome,
    Prompt,
    Question,
    Request,
    Scores,
)
from i1_bench.cvtg.words import levenshtein
from i1_bench.engines.rapid_ocr import RapidOcr
from i1_bench.judges import JudgeConfig, digest
from i1_hooks import UserError
from i1_hooks.files import read_text, split_lines


@dataclass(frozen=True, kw_only=True)
class SignsConfig(BenchmarkConfig):
    """Signs with one short text each.

    Attributes:
        file: JSON lines with `prompt`, `text` and `category`; empty takes the ones of this package.
        judge: reads the text; an OCR engine.
    """

    file: str = ""
    judge: JudgeConfig = field(default_factory=RapidOcr)

    def build(self) -> Benchmark:
        """Returns the benchmark.

        Raises:
            UserError: for a file that cannot be read.
        """
        return Signs(self)


class Signs(Benchmark):
    """The benchmark of a `SignsConfig`."""

    name = "signs"
    kinds: ClassVar[dict[str, tuple[str, ...]]] = {"ocr": ("ocr",)}

    def __init__(self, config: SignsConfig) -> None:
        self._judge = config.judge
        inside = resources.files("i1_plugin_signs").joinpath("signs.jsonl").read_text(encoding="utf-8")
        text = read_text(Path(config.file)) if config.file else inside
        try:
            self._prompts = [
                Prompt(text=row["prompt"], category=row["category"], split="all", spec=row["text"])
                for row in map(json.loads, split_lines(text))
            ]
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{config.file}: expected JSON lines with prompt, text and category ({error})"
            ) from error

    def requests(self, count: int, seed: int) -> list[Request]:
        """Returns `count` pictures of every prompt; nothing is drawn."""
        del seed
        size = len(self._prompts)
        return [
            Request(prompt=prompt, path=PurePosixPath(f"{i:03d}_{k}.png"), noise=k * size + i)
            for i, prompt in enumerate(self._prompts)
            for k in range(count)
        ]

    def identity(self) -> dict[str, Any]:
        """Returns the digest of the prompts."""
        return {"prompts": digest([[prompt.text, prompt.spec] for prompt in self._prompts])}

    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the OCR engine."""
        return {"ocr": self._judge}

    def questions(self, request: Request) -> list[Question]:
        """Asks for the lines of text."""
        del request
        return [Question(name="lines", judge="ocr", content="")]

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns the share of characters read right, with the categories as groups."""
        return [self._outcome(one) for one in judged]

    def _outcome(self, one: Judged) -> Outcome:
        group = one.request.prompt.category
        if "lines" not in one.answers:
            return Outcome(credit=0.0, weight=0.0, group=group)
        wanted, found = one.request.prompt.spec.lower(), " ".join(one.answers["lines"]).lower()
        credit = max(0.0, 1 - levenshtein(wanted, found) / len(wanted))
        return Outcome(credit=credit, group=group, reason="" if credit == 1 else f"reads {found!r}")

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns the mean over categories."""
        del seed
        groups: dict[str, list[float]] = {}
        for outcome in self.outcomes(judged):
            if outcome.weight:
                groups.setdefault(outcome.group, []).append(outcome.credit)
        categories = {name: sum(credits) / len(credits) for name, credits in groups.items()}
        mean = sum(categories.values()) / len(categories) if categories else None
        return Scores(score=mean, fixed=mean, categories=categories)
