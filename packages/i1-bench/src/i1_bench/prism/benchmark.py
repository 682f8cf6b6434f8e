"""PRISM-Bench as a component."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from i1_hooks import UserError
from i1_hooks.files import read_json as read_json_file

from i1_bench.benchmarks import Benchmark, Judged, Outcome, Question, Request, Scores
from i1_bench.engines.openai_vlm import OpenAiVlm
from i1_bench.judges import JudgeConfig, digest
from i1_bench.prism.replies import Rating, rate, rate_fixed
from i1_bench.prism.scoring import ASPECTS, TRACKS, average, final_fixed, reference_report
from i1_bench.prompts.catalogue import PromptFolder
from i1_bench.prompts.config import PublishedBenchmark, PublishedConfig, Row
from i1_bench.prompts.sets import read_json, read_lines

TEMPLATES = "prism-bench/judge_templates.json"
_BEST = 10.0


@dataclass(frozen=True, kw_only=True)
class PrismConfig(PublishedConfig):
    """Alignment and aesthetics of 700 prompts on seven tracks, one picture each.

    Attributes:
        templates: the texts that the judge is given; empty takes `prism-bench/judge_templates.json` in the
            folder of prompts.
        judge: replies to a text about a picture.
    """

    templates: str = ""
    judge: JudgeConfig = field(
        default_factory=lambda: OpenAiVlm(
            model="Qwen/Qwen2.5-VL-72B-Instruct", add_vision_id=True, max_pixels=1280 * 28 * 28
        )
    )

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        return Prism(self)


class Prism(PublishedBenchmark):
    """The benchmark of a `PrismConfig`."""

    name = "prism"
    stem = "prism"
    kinds: ClassVar[dict[str, tuple[str, ...]]] = {"vlm": ("vlm",)}
    max_count = 1
    scale = 100.0

    def __init__(self, config: PrismConfig) -> None:
        super().__init__(config)
        self._judge, self._path = config.judge, config.templates
        self._read: dict[tuple[str, str], str] | None = None

    def read_rows(self, folder: PromptFolder) -> list[Row]:
        """Returns the prompts of all tracks, the tracks in alphabetical order."""
        rows: list[Row] = []
        for track in sorted(TRACKS):
            for number, caption in enumerate(read_lines(folder, f"prism-bench/captions/en/{track}.jsonl")):
                path, published = f"{len(rows):05d}.png", f"{track}/{number}.png"
                row = Row(
                    text=caption["prompt"],
                    category=track,
                    spec=caption["prompt"],
                    folder=path,
                    published=published,
                )
                rows.append(row)
        return rows

    def judges(self) -> Mapping[str, JudgeConfig]:
        """Returns the judge."""
        return {"vlm": self._judge}

    def templates(self) -> dict[tuple[str, str], str]:
        """Returns the judge's text for each aspect and track.

        Raises:
            UserError: for a file without a text for each.
        """
        if self._read is None:
            path = self._path
            record = read_json_file(Path(path).expanduser()) if path else read_json(self._folder, TEMPLATES)
            try:
                self._read = {("aesthetic", track): record["aesthetic"] for track in TRACKS}
                self._read |= {("alignment", track): record["alignment"][track] for track in TRACKS}
            except (TypeError, KeyError) as error:
                raise UserError(
                    f"{path or TEMPLATES}: no text for {error}; expected `aesthetic` and, under `alignment`, "
                    + ", ".join(TRACKS)
                ) from error
        return self._read

    def questions(self, request: Request) -> list[Question]:
        """Asks for the alignment with the original prompt, and for the aesthetics."""
        track = request.prompt.category
        return [
            Question(
                name=aspect,
                judge="vlm",
                content=self.templates()[aspect, track].format(text_prompt=request.prompt.spec),
            )
            for aspect in ASPECTS
        ]

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns the ratings of each picture that count."""
        return [_outcome(one) for one in judged]

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns ten times the mean of all scores that count, 0 to 100."""
        del seed
        counted = _pool(judged, lambda reply: rate(reply).score)
        averages = average(counted)
        fixed = final_fixed(_pool(judged, rate_fixed))
        num_scores = sum(len(pool) for tracks in counted.values() for pool in tracks.values())
        is_number = math.isfinite(averages.final)
        return Scores(
            score=10 * averages.final if num_scores and is_number else None,
            fixed=None if fixed is None else 10 * fixed,
            categories={
                track: 10 * means["combined"]
                for track, means in averages.tracks.items()
                if math.isfinite(means["combined"])
            },
            details={
                "alignment": 10 * averages.alignment if math.isfinite(averages.alignment) else None,
                "aesthetic": 10 * averages.aesthetic if math.isfinite(averages.aesthetic) else None,
                "scores_counted": num_scores,
            },
            reference_report=reference_report(averages) if num_scores else (),
        )

    def accepts(self, question: Question, answer: Any) -> bool:
        """Tells whether the published code would keep the reply; it asks again for others."""
        del question
        if not isinstance(answer, str):
            return False
        rating = rate(answer)
        return rating.saved and not rating.stops

    def identity(self) -> dict[str, Any]:
        """Adds the digest of the judge's texts, when they are there."""
        found = super().identity()
        try:
            texts = self.templates()
        except UserError:  # pictures can be made without them; judging then names the missing file
            return found
        return {**found, "templates": digest([texts[key] for key in sorted(texts)])}


def _pool(judged: Sequence[Judged], score_of: Any) -> dict[str, dict[str, list[float]]]:
    pools: dict[str, dict[str, list[float]]] = {aspect: {} for aspect in ASPECTS}
    for one in judged:
        for aspect in ASPECTS:
            score = score_of(one.answers[aspect]) if aspect in one.answers else None
            if score is not None:
                pools[aspect].setdefault(one.request.prompt.category, []).append(score)
    return pools


def _outcome(one: Judged) -> Outcome:
    ratings: dict[str, Rating] = {name: rate(reply) for name, reply in one.answers.items()}
    scores = {name: rating.score for name, rating in ratings.items() if rating.score is not None}
    scores = {name: score for name, score in scores.items() if math.isfinite(score)}
    reasons = [
        f"{name} {score:g}: {ratings[name].justification}" for name, score in scores.items() if score < _BEST
    ]
    return Outcome(credit=sum(scores.values()) / _BEST, weight=float(len(scores)), reason="; ".join(reasons))
