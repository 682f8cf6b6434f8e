"""The five benchmarks as components, on small prompt files in the published formats."""

import json

import numpy as np
import pytest
from bench_files import CVTG, DPG, GENEVAL, LONGTEXT, write_prompts
from i1_bench.benchmarks import Judged
from i1_bench.cvtg.benchmark import CvtgConfig
from i1_bench.dpg.benchmark import DpgConfig, git_blob_id, read_question_file
from i1_bench.geneval.benchmark import GenEvalConfig
from i1_bench.longtext.benchmark import LongTextConfig
from i1_bench.prism.benchmark import PrismConfig
from i1_bench.testing import BenchmarkSuite
from i1_hooks import UserError

CLASSES = {"bench": 0, "cat": 1, "dog": 3, "cup": 5, "car": 8}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    return write_prompts(tmp_path_factory.mktemp("prompts"))


class Published(BenchmarkSuite):
    config_class = None

    @pytest.fixture(autouse=True)
    def _component(self, prompts):
        self.component = self.config_class(prompts=str(prompts), verify=False)

    def answer(self, request, question, right):
        raise NotImplementedError

    def answers(self, right):
        benchmark = self.component.build()
        return [
            Judged(
                request=request,
                answers={q.name: self.answer(request, q, right) for q in benchmark.questions(request)},
            )
            for request in benchmark.requests(benchmark.default_count, seed=0)
        ]

    def test_answers_are_accepted(self):
        benchmark = self.component.build()
        for request in benchmark.requests(1, seed=0):
            for question in benchmark.questions(request):
                assert benchmark.accepts(question, self.answer(request, question, True))
                for nonsense in (None, 3.5j, {"x": 1}):
                    assert not benchmark.accepts(question, nonsense)


class TestGenEval(Published):
    config_class = GenEvalConfig

    def answer(self, request, question, right):
        rows = {}
        for name in question.content["classes"]:
            left = 30.0 * CLASSES[name]
            colours = [c.get("color") for c in request.prompt.spec["include"] if c["class"] == name]
            box = {"box": [left, 10.0, left + 20, 30.0, 0.95 if right else 0.1], "colour": colours[0]}
            rows[name] = [box, dict(box)] if name == "cup" and not any(colours) else [box]
        return rows


class TestDpg(Published):
    config_class = DpgConfig

    def answer(self, request, question, right):
        return "yes" if right else "no"


class TestPrism(Published):
    config_class = PrismConfig

    def answer(self, request, question, right):
        return json.dumps({"justification": "so", "score": 10 if right else 0})

    max_count = 1

    def test_its_layout_has_one_picture_of_each_prompt(self):
        requests = self.component.build().requests(1, seed=0)
        assert [str(r.path) for r in requests] == [f"{k:05d}.png" for k in range(14)]
        assert str(requests[3].published.path) == "composition/1.png"
        assert requests[3].prompt.text == "composition 1"
        with pytest.raises(UserError, match="prism: 2 pictures of each prompt: expected 1"):
            self.component.build().requests(2, seed=0)


class TestLongText(Published):
    config_class = LongTextConfig

    def answer(self, request, question, right):
        return " ".join(request.prompt.spec["text"]) if right else "No text recognized."


class TestCvtg(Published):
    config_class = CvtgConfig
    max_count = 1

    def answer(self, request, question, right):
        return request.prompt.spec.replace("'", " ").split() if right else []


def requests_of(config_class, prompts, count, **settings):
    return config_class(prompts=str(prompts), verify=False, **settings).build().requests(count, 0)


def test_generation_writes_the_published_layouts(prompts):
    geneval = requests_of(GenEvalConfig, prompts, 4)
    assert [str(r.path) for r in geneval[3:5]] == ["00000/samples/00003.png", "00001/samples/00000.png"]
    assert [r.prompt.text for r in geneval[::4]] == [row["prompt"] for row in GENEVAL]
    dpg = requests_of(DpgConfig, prompts, 4)
    assert (str(dpg[5].path), str(dpg[5].published.path), dpg[5].published.tile) == (
        "00001/samples/00001.png",
        "second2.png",
        1,
    )
    longtext = requests_of(LongTextConfig, prompts, 4)
    assert [(str(r.path), str(r.published.path)) for r in longtext[4:6]] == [
        ("0001_0.png", "7_0.png"),
        ("0001_1.png", "7_1.png"),
    ]
    cvtg = requests_of(CvtgConfig, prompts, 1)
    assert [str(r.published.path) for r in cvtg] == ["CVTG/2/0.png", "CVTG/3/0.png", "CVTG-Style/2/0.png"]
    assert [r.prompt.text for r in cvtg] == [text for texts in CVTG.values() for text in texts]


def test_neighbours_in_noise_are_neighbours_in_the_file(prompts):
    noises = [request.noise for request in requests_of(GenEvalConfig, prompts, 2)]
    assert sorted(noises) == list(range(12))
    assert noises[::2] == list(range(6))


def test_rewritten_prompts_are_scored_against_the_original(prompts):
    (prompts / "generation").mkdir(exist_ok=True)
    (prompts / "generation/dpg_simple_rewrite.json").write_text(
        json.dumps([["first1", "A"], ["second2", "B"]])
    )
    (prompts / "generation/longtext_complex_rewrite.jsonl").write_text('{"prompt": "A"}\n{"prompt": "B"}\n')
    found = requests_of(DpgConfig, prompts, 1, variant="simple_rewrite")
    assert [(r.prompt.text, r.prompt.spec) for r in found] == [("A", "first1"), ("B", "second2")]
    found = requests_of(LongTextConfig, prompts, 1, variant="complex_rewrite")
    assert [(r.prompt.text, r.prompt.spec["text"]) for r in found] == [
        (text, row["text"]) for text, row in zip("AB", LONGTEXT, strict=True)
    ]
    found = requests_of(DpgConfig, prompts, 1, variant="repeated3")
    assert found[0].prompt.text == " ".join([DPG[0][1]] * 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "better"}, "unknown variant 'better': choose original, simple_rewrite"),
        ({"variant": "repeated0"}, "unknown variant 'repeated0'"),
        ({"limit": -1}, "limit -1"),
        ({"prompts": "/nonesuch"}, "/nonesuch: no such folder"),
        ({"verify": True}, "another version: sha256 .* --set verify=false"),
    ],
)
def test_mistakes_in_settings(prompts, settings, message):
    with pytest.raises(UserError, match=message):
        GenEvalConfig(**{"prompts": str(prompts), "verify": False, **settings}).build()


def test_a_rewrite_with_another_number_of_prompts_is_refused(prompts):
    (prompts / "generation").mkdir(exist_ok=True)
    (prompts / "generation/geneval_simple_rewrite.txt").write_text("one\ntwo\n")
    with pytest.raises(UserError, match="has 2 prompts, the benchmark 6"):
        requests_of(GenEvalConfig, prompts, 1, variant="simple_rewrite")


def test_a_limit_takes_the_first_prompts_of_each_category(prompts):
    found = requests_of(PrismConfig, prompts, 1, limit=1)
    assert [request.prompt.text for request in found] == [
        f"{track} 0" for track in sorted({request.prompt.category for request in found})
    ]
    assert [request.noise for request in found] == list(range(0, 14, 2))


def test_detection_asks_for_the_classes_and_colours_of_the_prompt(prompts):
    benchmark = GenEvalConfig(prompts=str(prompts), verify=False).build()
    (question,) = benchmark.questions(benchmark.requests(1, 0)[5])
    assert question.content == {"classes": ["cup", "car"], "colours": {"cup": 1, "car": 1}}


def test_dpg_without_its_question_file_can_generate_but_not_judge(tmp_path):
    folder = write_prompts(tmp_path)
    (folder / "dpg_bench/dpg_bench.csv").unlink()
    benchmark = DpgConfig(prompts=str(folder), verify=False).build()
    assert "questions" not in benchmark.identity()
    with pytest.raises(
        UserError, match=r"no question file .*dpg_bench.csv of the ELLA project; .*questions=FILE"
    ):
        benchmark.questions(benchmark.requests(1, 0)[0])


def test_another_question_file_is_refused_by_its_git_blob(prompts):
    config = DpgConfig(questions=str(prompts / "dpg_bench/dpg_bench.csv"))
    with pytest.raises(UserError, match=r"git blob [0-9a-f]{12}, not 98457fc99019"):
        read_question_file(config, config.folder())
    assert git_blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_picture_of_dpg_counts_only_when_all_of_its_prompt_are_judged(prompts):
    benchmark = DpgConfig(prompts=str(prompts), verify=False).build()
    judged = [
        Judged(request=request, answers={"1": "yes", "2": "yes"} if number != 2 else {"1": "yes"})
        for number, request in enumerate(benchmark.requests(4, 0))
    ]
    assert [outcome.weight for outcome in benchmark.outcomes(judged)] == [0] * 4 + [0.25] * 4
    assert benchmark.score(judged, 0).score == 100


def test_prism_templates_are_filled_and_missing_ones_named(prompts, tmp_path):
    benchmark = PrismConfig(prompts=str(prompts), verify=False).build()
    alignment, aesthetic = benchmark.questions(benchmark.requests(1, 0)[0])
    assert alignment.content == "How well on affection? {json} text prompt: affection 0"
    assert aesthetic.content == "Nice? affection 0"
    (tmp_path / "t.json").write_text('{"aesthetic": "x", "alignment": {}}')
    damaged = PrismConfig(prompts=str(prompts), verify=False, templates=str(tmp_path / "t.json")).build()
    with pytest.raises(UserError, match="no text for 'imagination'"):
        damaged.questions(damaged.requests(1, 0)[0])


def test_a_reply_that_is_not_finite_leaves_prism_without_a_score(prompts):
    benchmark = PrismConfig(prompts=str(prompts), verify=False).build()
    request = benchmark.requests(1, 0)[0]
    judged = [Judged(request=request, answers={"alignment": '{"score": NaN}', "aesthetic": '{"score": 5}'})]
    assert benchmark.score(judged, 0).score is None
    (outcome,) = benchmark.outcomes(judged)
    assert (outcome.credit, outcome.weight) == (0.5, 1)


def test_a_run_is_known_by_its_prompts(prompts):
    identities = [
        GenEvalConfig(prompts=str(prompts), verify=False, **settings).build().identity()
        for settings in ({}, {"variant": "repeated2"}, {"limit": 1})
    ]
    assert len({json.dumps(identity) for identity in identities}) == 3
    assert np.unique([identity["prompts"] for identity in identities[:2]]).size == 2
