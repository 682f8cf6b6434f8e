"""The scenes benchmark as a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from i1_scenes import vocabulary as v

from i1_bench.benchmarks import Benchmark, BenchmarkConfig, Prompt, Request
from i1_bench.judges import Judge, JudgeConfig, Verdict
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


class Scenes(Benchmark):
    """The benchmark of a `ScenesConfig`."""

    name = "scenes"

    def __init__(self, config: ScenesConfig) -> None:
        self.config = config

    def requests(self, images_per_category: int, seed: int) -> list[Request]:
        """Returns the pictures of `scenes_prompts`; picture k starts from noise k of the seed."""
        counts: dict[PurePosixPath, int] = {}
        requests: list[Request] = []
        for noise, prompt in enumerate(scenes_prompts(images_per_category, seed)):
            folder = PurePosixPath(prompt.split, prompt.category)
            index = counts[folder] = counts.get(folder, -1) + 1
            requests.append(Request(prompt=prompt, path=folder / f"{index:05d}.png", noise=noise))
        return requests

    def judge(self) -> Judge:
        """Returns the configured judge."""
        return self.config.judge.build()

    def scores(self, prompts: Sequence[Prompt], verdicts: Sequence[Verdict], seed: int) -> Mapping[str, Any]:
        """Returns `summarise(prompts, verdicts, seed)`."""
        return summarise(prompts, verdicts, seed)

    def headline(self, scores: Mapping[str, Any]) -> str:
        """Returns a table: a row for each category, a column for each split, then the means."""
        lines = [f"{'':14}{'seen':>8}{'unseen':>8}"]
        for category in v.OBJECT_CATEGORIES:
            values = (scores[split]["categories"][category]["score"] for split in v.SPLITS)
            lines.append(f"{category:14}" + "".join(f"{value:8.3f}" for value in values))
        lines.append(f"{'score':14}" + "".join(f"{scores[split]['score']:8.3f}" for split in v.SPLITS))
        low_high = (scores[split]["interval"] for split in v.SPLITS)
        lines.append("95% interval  " + "  ".join(f"{low:.3f}-{high:.3f}" for low, high in low_high))
        lines.append(
            f"{'words':14}" + "".join(f"{scores[v.WORDS][split]['score']:8.3f}" for split in v.SPLITS)
        )
        return "\n".join(lines)
