"""Conformance suites for authors of judges and benchmarks."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from i1_hooks import UserError
from i1_hooks.testing import ComponentSuite

from i1_bench.benchmarks import BenchmarkConfig
from i1_bench.judges import Judge, JudgeConfig, Verdict


class JudgeSuite(ComponentSuite[JudgeConfig]):
    """What every judge must do; subclass it in a test file.

    Example:
        class TestMine(JudgeSuite):
            component = MyJudge()

            def examples(self):
                return [(picture, spec, True), (empty_picture, spec, False)]
    """

    def examples(self) -> Sequence[tuple[np.ndarray, Any, bool]]:
        """Returns pictures, uint8 (H, W, 3), each with a spec and whether it shows that; some of both."""
        raise NotImplementedError(f"{type(self).__name__}.examples")

    def test_right_and_wrong_are_told_apart(self) -> None:
        judge = self.component.build()
        assert isinstance(judge, Judge)
        examples = self.examples()
        assert {right for _, _, right in examples} == {True, False}, "examples of both kinds are needed"
        for number, (image, spec, right) in enumerate(examples):
            assert judge.judge(image, spec).right == right, f"example {number}"

    def test_a_verdict_is_complete(self) -> None:
        judge = self.component.build()
        for image, spec, _ in self.examples():
            verdict = judge.judge(image, spec)
            assert isinstance(verdict, Verdict)
            assert bool(verdict.reason) != verdict.right, "a wrong picture has a reason, a right one none"
            json.dumps(verdict.seen, allow_nan=False)

    def test_judging_repeats_and_leaves_the_picture_alone(self) -> None:
        judge = self.component.build()
        for image, spec, _ in self.examples():
            before = image.copy()
            assert judge.judge(image, spec) == judge.judge(image, spec)
            np.testing.assert_array_equal(image, before)

    def test_what_is_no_picture_is_refused(self) -> None:
        judge, spec = self.component.build(), self.examples()[0][1]
        no_pictures: list[Any] = [None, np.zeros((8, 8)), np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8)]
        for image in no_pictures:
            try:
                judge.judge(image, spec)
            except UserError:
                continue
            raise AssertionError(f"judged {type(image).__name__} {getattr(image, 'shape', '')} as a picture")


class BenchmarkSuite(ComponentSuite[BenchmarkConfig]):
    """What every benchmark must do; subclass it in a test file.

    Example:
        class TestMine(BenchmarkSuite):
            component = MyBenchmark()
    """

    def test_every_picture_has_its_own_file_and_noise(self) -> None:
        requests = self.component.build().requests(3, seed=0)
        assert len({request.path for request in requests}) == len(requests) > 0
        assert len({request.noise for request in requests}) == len(requests)
        for request in requests:
            assert not request.path.is_absolute()
            assert ".." not in request.path.parts
            assert request.path.suffix == ".png"
            assert request.prompt.text

    def test_requests_repeat(self) -> None:
        assert self.component.build().requests(3, seed=5) == self.component.build().requests(3, seed=5)

    def test_a_larger_run_contains_the_smaller_one(self) -> None:
        benchmark = self.component.build()
        larger = {request.path: request for request in benchmark.requests(3, seed=1)}
        for request in benchmark.requests(2, seed=1):
            assert larger[request.path] == request

    def test_scores_of_nothing_right_and_everything_right(self) -> None:
        benchmark = self.component.build()
        prompts = [request.prompt for request in benchmark.requests(2, seed=0)]
        for score in (0.0, 1.0):
            verdict = Verdict(score=score, reason="" if score else "wrong")
            scores = benchmark.scores(prompts, [verdict] * len(prompts), seed=0)
            json.dumps(scores, allow_nan=False)
            assert all(value == score for value in _values(scores, "score"))
            assert benchmark.headline(scores).strip()

    def test_scores_repeat(self) -> None:
        benchmark = self.component.build()
        prompts = [request.prompt for request in benchmark.requests(4, seed=0)]
        verdicts = [
            Verdict(score=float(k % 3 == 0), reason="wrong" * (k % 3 > 0)) for k in range(len(prompts))
        ]
        assert benchmark.scores(prompts, verdicts, 3) == benchmark.scores(prompts, verdicts, 3)


def _values(scores: Any, key: str) -> list[float]:
    if not isinstance(scores, dict):
        return []
    return [v for k, v in scores.items() if k == key] + [x for v in scores.values() for x in _values(v, key)]
