"""Benchmarks, judges, scoring and reports for text-to-image models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i1_hooks.lazy import lazy_exports

if TYPE_CHECKING:
    from i1_bench.benchmarks import (
        Benchmark,
        BenchmarkConfig,
        Judged,
        Outcome,
        Prompt,
        Question,
        Request,
        Scores,
        VerdictBenchmark,
    )
    from i1_bench.judges import Judge, JudgeConfig, JudgeError, Picture, Verdict, VerdictJudge
    from i1_bench.runs import run_benchmark

__all__ = [
    "Benchmark",
    "BenchmarkConfig",
    "Judge",
    "JudgeConfig",
    "JudgeError",
    "Judged",
    "Outcome",
    "Picture",
    "Prompt",
    "Question",
    "Request",
    "Scores",
    "Verdict",
    "VerdictBenchmark",
    "VerdictJudge",
    "run_benchmark",
]

_JUDGES = ("Judge", "JudgeConfig", "JudgeError", "Picture", "Verdict", "VerdictJudge")
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(__all__, "i1_bench.benchmarks"),
        **dict.fromkeys(_JUDGES, "i1_bench.judges"),
        "run_benchmark": "i1_bench.runs",
    },
)
