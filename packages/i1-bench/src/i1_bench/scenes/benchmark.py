"""The scenes benchmark as a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from i1_scenes import vocabulary as v

from i1_bench.benchmarks import (
    Benchmark,
    BenchmarkConfig,
    Judged,
    Outcome,
    Request,
    Scores,
    VerdictBenchmark,
)
from i1_bench.judges import JudgeConfig, Verdict
from i1_bench.scenes.evaluation import scenes_prompts, summarise
from i1_bench.scenes.judge import ScenePixels


@dataclass(frozen=True, kw_only=True)
class ScenesConfig(BenchmarkConfig):
    """Small pictures of flat shapes and short words, in combinations seen in training and held out of it.

    Attributes:
        judge: what measures the pictures; it is given a `i1_bench.scenes.Scene`.
    """

    judge: JudgeConfig = field(default_factory=ScenePixels)

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        return Scenes(self)


class Scenes(VerdictBenchmark):
    """The benchmark of a `ScenesConfig`."""

    name = "scenes"
    default_count = 50

    def __init__(self, config: ScenesConfig) -> None:
        self.config = config

    def requests(self, count: int, seed: int) -> list[Request]:
        """Returns the pictures of `scenes_prompts`; picture k starts from noise k of the seed."""
        counts: dict[PurePosixPath, int] = {}
        requests: list[Request] = []
        for noise, prompt in enumerate(scenes_prompts(count, seed)):
            folder = PurePosixPath(prompt.split, prompt.category)
            index = counts[folder] = counts.get(folder, -1) + 1
            requests.append(Request(prompt=prompt, path=folder / f"{index:05d}.png", noise=noise))
        return requests

    def judge(self) -> JudgeConfig:
        """Returns the configured judge."""
        return self.config.judge

    def outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """Returns the verdicts, with a group for each split and category."""
        pairs = zip(judged, super().outcomes(judged), strict=True)
        return [
            replace(outcome, group=f"{one.request.prompt.split}/{outcome.group}") for one, outcome in pairs
        ]

    def score(self, judged: Sequence[Judged], seed: int) -> Scores:
        """Returns the mean over splits and categories, words among them, and `summarise` as details."""
        scores = super().score(judged, seed)
        answered = [one for one in judged if "verdict" in one.answers]
        verdicts = [Verdict.from_answer(one.answers["verdict"]) for one in answered]
        details = summarise([one.request.prompt for one in answered], verdicts, seed) if answered else {}
        return replace(scores, details=details)

    def headline(self, scores: Mapping[str, Any]) -> str:
        """Returns a table: a row for each category, a column for each split, then the means."""
        if not all(table in scores for table in (*v.SPLITS, v.WORDS)):
            return super().headline(scores)
        lines = [f"{'':14}{'seen':>8}{'unseen':>8}"]
        for category in v.OBJECT_CATEGORIES:
            found = (scores[split]["categories"].get(category) for split in v.SPLITS)
            lines.append(
                f"{category:14}"
                + "".join(f"{entry['score']:8.3f}" if entry else f"{'-':>8}" for entry in found)
            )
        lines.append(f"{'score':14}" + "".join(f"{scores[split]['score']:8.3f}" for split in v.SPLITS))
        low_high = (scores[split]["interval"] for split in v.SPLITS)
        lines.append("95% interval  " + "  ".join(f"{low:.3f}-{high:.3f}" for low, high in low_high))
        words = (scores[v.WORDS].get(split) for split in v.SPLITS)
        lines.append(
            f"{'words':14}" + "".join(f"{entry['score']:8.3f}" if entry else f"{'-':>8}" for entry in words)
        )
        return "\n".join(lines)
