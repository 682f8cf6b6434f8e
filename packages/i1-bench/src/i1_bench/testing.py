"""Conformance suites for authors of judges and benchmarks."""

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
        """`examples()` are judged as it says; it holds right and wrong pictures."""
        judge = self.component.build()
        assert isinstance(judge, Judge), f"build() returned {judge!r}, expected a Judge"
        examples = self.examples()
        assert {right for _, _, right in examples} == {True, False}, "examples of both kinds are needed"
        for number, (image, spec, right) in enumerate(examples):
            verdict = judge.judge(image, spec)
            expected = "right" if right else "wrong"
            assert verdict.right == right, f"example {number} should be {expected}, the verdict is {verdict}"

    def test_a_verdict_is_complete(self) -> None:
        """A verdict gives a reason exactly when the picture is wrong, and JSON can hold what was `seen`."""
        judge = self.component.build()
        for image, spec, _ in self.examples():
            verdict = judge.judge(image, spec)
            assert isinstance(verdict, Verdict), f"judge returned {verdict!r}, expected a Verdict"
            assert bool(verdict.reason) != verdict.right, "a wrong picture has a reason, a right one none"
            json.dumps(verdict.seen, allow_nan=False)

    def test_judging_repeats_and_leaves_the_picture_alone(self) -> None:
        """Judging a picture twice gives equal verdicts, and does not change the picture."""
        judge = self.component.build()
        for image, spec, _ in self.examples():
            before = image.copy()
            first, second = judge.judge(image, spec), judge.judge(image, spec)
            assert first == second, f"one picture got the verdicts {first} and {second}"
            np.testing.assert_array_equal(image, before, err_msg="judging changed the picture")

    def test_what_is_no_picture_is_refused(self) -> None:
        """What is not uint8 (H, W, 3) is refused with a `UserError`."""
        judge, spec = self.component.build(), self.examples()[0][1]
        no_pictures: list[Any] = [None, np.zeros((8, 8)), np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8)]
        for image in no_pictures:
            try:
                judge.judge(image, spec)
            except UserError:
                continue
            what = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}".strip()
            raise AssertionError(f"{what} was judged as a picture, expected a UserError")


class BenchmarkSuite(ComponentSuite[BenchmarkConfig]):
    """What every benchmark must do; subclass it in a test file.

    Example:
        class TestMine(BenchmarkSuite):
            component = MyBenchmark()
    """

    def test_every_picture_has_its_own_file_and_noise(self) -> None:
        """Every request has a file and a noise of its own; paths are relative and end in .png."""
        requests = self.component.build().requests(3, seed=0)
        assert requests, "there are no requests"
        for what, values in (
            ("file", [request.path for request in requests]),
            ("noise", [request.noise for request in requests]),
        ):
            assert len(set(values)) == len(values), f"two requests share a {what}"
        for request in requests:
            inside = not request.path.is_absolute() and ".." not in request.path.parts
            assert inside, f"{request.path} lies outside of the folder of the pictures"
            assert request.path.suffix == ".png", f"{request.path} does not end in .png"
            assert request.prompt.text, f"the prompt of {request.path} is empty"

    def test_requests_repeat(self) -> None:
        """Equal arguments give equal requests."""
        first, second = (self.component.build().requests(3, seed=5) for _ in range(2))
        assert first == second, "two calls with equal arguments gave different requests"

    def test_a_larger_run_contains_the_smaller_one(self) -> None:
        """More pictures per category contain the requests of fewer."""
        benchmark = self.component.build()
        larger = {request.path: request for request in benchmark.requests(3, seed=1)}
        for request in benchmark.requests(2, seed=1):
            found = larger.get(request.path)
            assert found == request, f"with more pictures {request} became {found}"

    def test_scores_of_nothing_right_and_everything_right(self) -> None:
        """Every `score` is 0 when all verdicts are wrong and 1 when all are right; JSON can hold them."""
        benchmark = self.component.build()
        prompts = [request.prompt for request in benchmark.requests(2, seed=0)]
        for score in (0.0, 1.0):
            verdict = Verdict(score=score, reason="" if score else "wrong")
            scores = benchmark.scores(prompts, [verdict] * len(prompts), seed=0)
            json.dumps(scores, allow_nan=False)
            found = set(_values(scores, "score"))
            assert found <= {score}, f"verdicts of {score} gave scores {sorted(found)}"
            assert benchmark.headline(scores).strip(), "the headline is empty"

    def test_scores_repeat(self) -> None:
        """Equal verdicts and seeds give equal scores."""
        benchmark = self.component.build()
        prompts = [request.prompt for request in benchmark.requests(4, seed=0)]
        verdicts = [
            Verdict(score=float(k % 3 == 0), reason="wrong" * (k % 3 > 0)) for k in range(len(prompts))
        ]
        first, second = (benchmark.scores(prompts, verdicts, 3) for _ in range(2))
        assert first == second, f"equal verdicts gave the scores {first} and {second}"


def _values(scores: Any, key: str) -> list[float]:
    if not isinstance(scores, dict):
        return []
    return [v for k, v in scores.items() if k == key] + [x for v in scores.values() for x in _values(v, key)]
