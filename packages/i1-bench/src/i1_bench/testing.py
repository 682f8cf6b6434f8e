"""Conformance suites for authors of judges and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from i1_hooks import UserError
from i1_hooks.testing import ComponentSuite

from i1_bench.benchmarks import BenchmarkConfig, Judged, VerdictBenchmark
from i1_bench.judges import JudgeConfig, Verdict, VerdictJudge
from i1_bench.statistics import cluster, estimate


class JudgeSuite(ComponentSuite[JudgeConfig]):
    """What every `VerdictJudge` must do; subclass it in a test file.

    Example:
        class TestMine(JudgeSuite):
            component = MyJudge()

            def examples(self):
                return [(picture, spec, True), (empty_picture, spec, False)]
    """

    def examples(self) -> Sequence[tuple[np.ndarray, Any, bool]]:
        """Returns pictures, uint8 (H, W, 3), each with a spec and whether it shows that; some of both."""
        raise NotImplementedError(f"{type(self).__name__}.examples")

    def _judge(self) -> VerdictJudge:
        judge = self.component.build()
        assert isinstance(judge, VerdictJudge), f"build() returned {judge!r}, expected a VerdictJudge"
        return judge

    def test_right_and_wrong_are_told_apart(self) -> None:
        """`examples()` are judged as it says; it holds right and wrong pictures."""
        judge = self._judge()
        examples = self.examples()
        assert {right for _, _, right in examples} == {True, False}, "examples of both kinds are needed"
        for number, (image, spec, right) in enumerate(examples):
            verdict = judge.judge(image, spec)
            expected = "right" if right else "wrong"
            assert verdict.right == right, f"example {number} should be {expected}, the verdict is {verdict}"

    def test_a_verdict_is_complete(self) -> None:
        """A verdict gives a reason exactly when the picture is wrong, and JSON can hold it."""
        judge = self._judge()
        for image, spec, _ in self.examples():
            verdict = judge.judge(image, spec)
            assert isinstance(verdict, Verdict), f"judge returned {verdict!r}, expected a Verdict"
            assert bool(verdict.reason) != verdict.right, "a wrong picture has a reason, a right one none"
            recorded = json.loads(json.dumps(verdict.to_answer(), allow_nan=False))
            assert Verdict.from_answer(recorded).score == verdict.score, f"JSON changes {verdict}"

    def test_judging_repeats_and_leaves_the_picture_alone(self) -> None:
        """Judging a picture twice gives equal verdicts, and does not change the picture."""
        judge = self._judge()
        for image, spec, _ in self.examples():
            before = image.copy()
            first, second = judge.judge(image, spec), judge.judge(image, spec)
            assert first == second, f"one picture got the verdicts {first} and {second}"
            np.testing.assert_array_equal(image, before, err_msg="judging changed the picture")

    def test_what_is_no_picture_is_refused(self) -> None:
        """What is not uint8 (H, W, 3) is refused with a `UserError`."""
        judge, spec = self._judge(), self.examples()[0][1]
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

    Attributes:
        max_count: the most pictures of a prompt that are asked for.

    Example:
        class TestMine(BenchmarkSuite):
            component = MyBenchmark()
    """

    max_count: int = 3

    def answers(self, right: bool) -> Sequence[Judged]:
        """Returns the pictures of a run with answers to everything, all as good or all as bad as can be.

        A `VerdictBenchmark` needs no other; the others override it.
        """
        benchmark = self.component.build()
        assert isinstance(benchmark, VerdictBenchmark), f"override {type(self).__name__}.answers"
        verdict = Verdict(score=float(right), reason="" if right else "wrong")
        return [
            Judged(request=request, answers={"verdict": verdict.to_answer()})
            for request in benchmark.requests(2, seed=0)
        ]

    def test_every_picture_has_its_own_file_and_noise(self) -> None:
        """Every request has a file and a noise of its own; paths are relative and end in .png."""
        requests = self.component.build().requests(self.max_count, seed=0)
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
        first, second = (self.component.build().requests(self.max_count, seed=5) for _ in range(2))
        assert first == second, "two calls with equal arguments gave different requests"

    def test_a_larger_run_contains_the_smaller_one(self) -> None:
        """A larger count contains the requests of a smaller one."""
        benchmark = self.component.build()
        larger = {request.path: request for request in benchmark.requests(self.max_count, seed=1)}
        for request in benchmark.requests(max(self.max_count - 1, 1), seed=1):
            found = larger.get(request.path)
            assert found == request, f"with more pictures {request} became {found}"

    def test_every_question_has_its_own_name_and_a_judge(self) -> None:
        """The questions about a picture have different names, and ask judges whose kinds are declared."""
        benchmark = self.component.build()
        judges = set(benchmark.judges())
        assert judges <= set(benchmark.kinds), (
            f"kinds has {sorted(benchmark.kinds)}, judges() {sorted(judges)}"
        )
        for request in benchmark.requests(1, seed=0):
            names = [question.name for question in benchmark.questions(request)]
            assert names, f"nothing is asked about {request.path}"
            assert len(set(names)) == len(names), f"two questions about {request.path} share a name: {names}"
            asked = {question.judge for question in benchmark.questions(request)}
            assert asked <= judges, f"{sorted(asked - judges)} are asked, judges() has {sorted(judges)}"

    def test_nothing_judged_is_no_score(self) -> None:
        """Without answers the score is None and no picture has any weight."""
        benchmark = self.component.build()
        judged = [Judged(request=request, answers={}) for request in benchmark.requests(1, seed=0)]
        score = benchmark.score(judged, 0).score
        assert score is None, f"without answers the score is {score}"
        weights = {outcome.weight for outcome in benchmark.outcomes(judged)}
        assert weights == {0}, f"without answers pictures have the weights {sorted(weights)}"

    def test_scores_of_nothing_right_and_everything_right(self) -> None:
        """The score is 0 for the worst answers and `scale` for the best; JSON can hold what is reported."""
        benchmark = self.component.build()
        for right in (False, True):
            scores = benchmark.score(self.answers(right), 0)
            expected = benchmark.scale if right else 0
            assert scores.score == expected, f"the score is {scores.score}, expected {expected}"
            json.dumps([dict(scores.categories), dict(scores.details)], allow_nan=False)

    def test_the_outcomes_make_the_score(self) -> None:
        """The mean over groups of credit over weight, times `scale`, is the score."""
        benchmark = self.component.build()
        good, bad = self.answers(True), self.answers(False)
        judged = [(good if number % 3 else bad)[number] for number in range(len(good))]
        found = estimate(cluster(judged, benchmark.outcomes(judged)))
        score = benchmark.score(judged, 0).score
        assert found is not None, "no outcome has any weight"
        assert score is not None, "there is no score"
        message = "outcomes and score disagree"
        np.testing.assert_allclose(benchmark.scale * found, score, rtol=1e-9, err_msg=message)
