"""The contract of a benchmark: prompts, the judge of each picture, and the scores of a whole run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from i1_hooks import ComponentConfig

from i1_bench.judges import Judge, Verdict


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One request for a picture.

    Attributes:
        text: what the model is given.
        category: the group it is scored in.
        split: the part of the benchmark it belongs to.
        spec: what the judge holds the picture against, in the benchmark's own terms.
    """

    text: str
    category: str
    split: str
    spec: Any


@dataclass(frozen=True, kw_only=True)
class Request:
    """One picture of a run.

    Attributes:
        prompt: what to show.
        path: where its PNG lies, relative to the folder of pictures.
        noise: which noise of the run's seed it starts from; the same for the same path in a larger run.
    """

    prompt: Prompt
    path: PurePosixPath
    noise: int


class Benchmark(ABC):
    """A set of prompts together with the way they are scored."""

    name: str

    @abstractmethod
    def requests(self, images_per_category: int, seed: int) -> list[Request]:
        """Returns every picture of a run; the first ones of a category do not depend on their number."""

    @abstractmethod
    def judge(self) -> Judge:
        """Returns the judge of this benchmark's pictures."""

    @abstractmethod
    def scores(self, prompts: Sequence[Prompt], verdicts: Sequence[Verdict], seed: int) -> Mapping[str, Any]:
        """Returns the scores of a run as JSON-ready data.

        Args:
            prompts: what was asked for.
            verdicts: one for each prompt.
            seed: of the bootstrap.
        """

    @abstractmethod
    def headline(self, scores: Mapping[str, Any]) -> str:
        """Returns the scores as a few lines of text for a terminal."""


class BenchmarkConfig(ComponentConfig, kind="benchmarks"):
    """Base of every configuration of a benchmark."""

    def build(self) -> Benchmark:
        """Returns the benchmark."""
        raise NotImplementedError(f"{type(self).__name__}.build")
