"""Hooks for what i1-bench is made of."""

from __future__ import annotations

from collections.abc import Iterable

from i1_hooks.component import Component
from i1_hooks.hookspecs.markers import hookspec


@hookspec
def i1_judges() -> Iterable[Component]:
    """Returns judges: measurements of one generated picture.

    Each is an `i1_bench.judges.JudgeConfig`.

    Example:
        from dataclasses import dataclass

        from i1_bench.judges import JudgeConfig, Verdict, VerdictJudge, check_image
        from i1_hooks import Component, hookimpl


        class Brightness(VerdictJudge):
            def __init__(self, tolerance):
                self.tolerance = tolerance

            def judge(self, image, spec):
                found = float(check_image(image).mean())
                if abs(found - spec) <= self.tolerance:
                    return Verdict(score=1.0, seen=found)
                return Verdict(score=0.0, reason=f"mean {found:.0f}, not {spec}", seen=found)


        @dataclass(frozen=True, kw_only=True)
        class BrightnessJudge(JudgeConfig):
            '''Whether the mean of all pixels is near the number that was asked for.'''

            tolerance: float = 10.0

            def build(self):
                return Brightness(self.tolerance)


        @hookimpl
        def i1_judges():
            return [Component("brightness", f"{__name__}:BrightnessJudge", "the mean of all pixels")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_benchmarks() -> Iterable[Component]:
    """Returns benchmarks: prompt sets with their scoring.

    Each is an `i1_bench.benchmarks.BenchmarkConfig`.

    Example:
        from dataclasses import dataclass
        from pathlib import PurePosixPath

        from i1_bench.benchmarks import BenchmarkConfig, Prompt, Request, VerdictBenchmark
        from i1_bench.judges import JudgeConfig, Verdict, VerdictJudge
        from i1_hooks import Component, hookimpl


        class IsDark(VerdictJudge):
            def judge(self, image, spec):
                mean = float(image.mean())
                return Verdict(score=float(mean < 128), reason="" if mean < 128 else "bright", seen=mean)


        @dataclass(frozen=True, kw_only=True)
        class Darkness(JudgeConfig):
            '''Whether a picture is dark.'''

            def build(self):
                return IsDark()


        class Nights(VerdictBenchmark):
            name = "nights"

            def requests(self, count, seed):
                prompt = Prompt(text="a night sky", category="night", split="all", spec=None)
                paths = [PurePosixPath(f"night/{i}.png") for i in range(count)]
                return [Request(prompt=prompt, path=path, noise=i) for i, path in enumerate(paths)]

            def judge(self):
                return Darkness()


        @dataclass(frozen=True, kw_only=True)
        class NightBenchmark(BenchmarkConfig):
            '''Whether nights are dark.'''

            def build(self):
                return Nights()


        @hookimpl
        def i1_benchmarks():
            return [Component("nights", f"{__name__}:NightBenchmark", "whether nights are dark")]
    """
    raise AssertionError("a specification is never called")
