"""Benchmarks, judges, scoring and reports for text-to-image models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i1_bench.benchmarks import Benchmark, BenchmarkConfig, Prompt, Request
    from i1_bench.judges import Judge, JudgeConfig, Verdict
    from i1_bench.runs import run_benchmark

__all__ = [
    "Benchmark",
    "BenchmarkConfig",
    "Judge",
    "JudgeConfig",
    "Prompt",
    "Request",
    "Verdict",
    "run_benchmark",
]

_HOME = {
    "Benchmark": "benchmarks",
    "BenchmarkConfig": "benchmarks",
    "Judge": "judges",
    "JudgeConfig": "judges",
    "Prompt": "benchmarks",
    "Request": "benchmarks",
    "Verdict": "judges",
    "run_benchmark": "runs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
