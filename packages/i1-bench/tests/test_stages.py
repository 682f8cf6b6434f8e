"""All stages of the five benchmarks, with a local model server, a detector program and the real OCR."""

import json
import re
import shlex
import sys

import numpy as np
import pytest
from bench_files import save, write_prompts, write_text
from i1_bench.cli import main
from i1_bench.cvtg.benchmark import CvtgConfig
from i1_bench.dpg.benchmark import DpgConfig
from i1_bench.geneval.benchmark import GenEvalConfig
from i1_bench.longtext.benchmark import INSTRUCTION, LongTextConfig
from i1_bench.prism.benchmark import PrismConfig
from i1_hooks import UserError
from PIL import Image
from vlm_server import serving

CONFIGS = {
    "geneval": GenEvalConfig,
    "dpg": DpgConfig,
    "prism": PrismConfig,
    "cvtg-2k": CvtgConfig,
    "longtext": LongTextConfig,
}
DETECTOR = """
import json, sys
for line in sys.stdin:
    row = json.loads(line)
    boxes, colours = {}, row["question"]["colours"]
    for k, name in enumerate(row["question"]["classes"]):
        left = 40.0 * ((7 * k + len(name)) % 5)
        colour = "red" if name in colours else None
        boxes[name] = [{"box": [left, 0.0, left + 20, 20.0, 0.95], "colour": colour}]
    print(json.dumps({"id": row["id"], "answer": boxes}), flush=True)
"""


def shade(number):
    return np.full((32, 32, 3), 10 + number % 240, np.uint8)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    return write_prompts(tmp_path_factory.mktemp("prompts"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, prompts):
    """Pictures for every benchmark; those of CVTG-2K show their words, save that one lacks a word."""
    root = tmp_path_factory.mktemp("pictures")
    for name, config in CONFIGS.items():
        benchmark = config(prompts=str(prompts), verify=False).build()
        for number, request in enumerate(benchmark.requests(benchmark.default_count, 0)):
            lines = re.findall("'(.*?)'", request.prompt.spec) if name == "cvtg-2k" else None
            if lines == ["Live", "Music", "Tonight"]:
                lines = ["Live", "Tonight"]
            save(root / name, request.path, write_text(lines, font=52) if lines else shade(number))
    return root


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    program = tmp_path_factory.mktemp("detector") / "detector.py"
    program.write_text(DETECTOR)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(program))}"


def reply(text, picture):
    if text == INSTRUCTION:
        return "Open until late\nMusic in the park"
    if text.startswith("Is "):
        return "yes" if text.startswith("Is 1") or picture.mean() < 14 else "no"
    return json.dumps({"justification": "fine", "score": 7 if "Nice" in text else 9})


def options(prompts, pictures, detector, server):
    return [
        *("--prompts", str(prompts), "--images", str(pictures), "--judge-endpoint", server.url),
        *("--set", "verify=false"),
        *("--set", "geneval:judge=external"),
        *("--set", f"geneval:judge.command={detector}"),
        *("--set", "geneval:judge.name=by-rule-1"),
        *("--set", "geneval:judge.answers=detector"),
    ]


def scores_of(output, name):
    return json.loads((output / name / "scores.json").read_text())


def test_a_suite_runs_from_prompts_to_report(tmp_path, prompts, pictures, detector, capsys):
    with serving(reply) as server:
        arguments = [*options(prompts, pictures, detector, server), "--output", str(tmp_path)]
        assert main(["run", "--suite", "i1", *arguments]) == 0
        calls = len(server.bodies)
        assert main(["run", "--suite", "i1", *arguments]) == 0
        assert len(server.bodies) == calls, "nothing is asked twice"
    found = {name: scores_of(tmp_path, name) for name in CONFIGS}
    assert found["geneval"]["score"] == pytest.approx((1 + 1 + 0 + 1 + 1 + 0) / 6)
    assert found["geneval"]["categories"]["counting"] == 0
    assert found["dpg"]["score"] == pytest.approx(100 * (1 + 0.5) / 2, abs=13)
    assert found["prism"]["score"] == pytest.approx(80)
    assert found["prism"]["categories"]["style"] == pytest.approx(80)
    assert found["longtext"]["score"] == pytest.approx((3 + 4) / (3 + 7))
    assert found["cvtg-2k"]["score"] == pytest.approx((3 + 2 + 4) / (3 + 3 + 4))
    for name, scores in found.items():
        low, high = scores["interval"]
        assert low - 1e-9 <= scores["score"] <= high + 1e-9
        counts = scores["counts"]
        assert counts["judged"] == counts["pictures"] == counts["counted"] > 0, name
        (judge,) = scores["judges"].values()
        assert judge["kind"] in ("detector", "vqa", "vlm", "ocr")
        assert (tmp_path / name / "contact_sheet.png").is_file()
    assert found["geneval"]["judges"]["detector"]["name"] == "by-rule-1"
    assert "rapidocr" in found["cvtg-2k"]["judges"]["ocr"]["versions"]
    assert found["longtext"]["reference_report"] == ["Text Score: 0.7000"]
    report = json.loads((tmp_path / "report.json").read_text())
    expected = np.mean([100 * found["geneval"]["score"], found["dpg"]["score"], 80, 90, 70])
    assert report["five_benchmark_average"] == pytest.approx(expected)
    page = (tmp_path / "report.html").read_text()
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", page), "the page needs nothing else"
    assert page.count("<svg") == 6
    assert "1 of 3 words not read" in page
    assert "| i1 | 3B | 0.84 |" in (tmp_path / "report.md").read_text()
    printed = capsys.readouterr().out
    assert "prism: 80, 95% interval 80 to 80, 14 of 14 pictures judged" in printed


def test_stages_need_no_repeated_settings(tmp_path, prompts, pictures, capsys):
    base = ["--output", str(tmp_path)]
    given = ["--benchmark", "longtext", "--prompts", str(prompts), "--set", "verify=false", "--count", "1"]
    assert main(["prepare", *base, *given]) == 0
    rows = [json.loads(line) for line in (tmp_path / "longtext/prompts.jsonl").read_text().splitlines()]
    assert rows == [
        {"image": "0000_0.png", "prompt": "a sign"},
        {"image": "0001_0.png", "prompt": "a poster"},
    ]
    with serving(reply) as server:
        more = ["--images", str(pictures), "--judge-endpoint", server.url]
        assert main(["judge", *base, *more]) == 0
    assert main(["score", *base]) == 0
    assert "longtext: 0.7" in capsys.readouterr().out
    assert main(["report", *base]) == 0
    assert "| longtext | 0.7 |" in (tmp_path / "report.md").read_text()


def small_run(tmp_path, prompts, images, *more, stage="run"):
    return main(
        [
            *(stage, "--output", str(tmp_path), "--benchmark", "longtext", "--prompts", str(prompts)),
            *("--images", str(images), "--set", "verify=false", *more),
        ]
    )


@pytest.fixture
def copies(tmp_path, pictures):
    folder = tmp_path / "pictures"
    for path in (pictures / "longtext").iterdir():
        save(folder, path.name, np.asarray(Image.open(path).copy()))
    return folder


def test_missing_damaged_and_odd_pictures_are_counted_and_named(tmp_path, prompts, copies, capsys):
    (copies / "0000_1.png").unlink()
    (copies / "0001_0.png").write_bytes((copies / "0001_0.png").read_bytes()[:60])
    (copies / "0001_1.png").write_text("no picture")
    save(copies, "0001_2.png", np.zeros((16, 32, 3), np.uint8))
    save(copies, "0009_0.png", np.zeros((32, 32, 3), np.uint8))
    out = tmp_path / "out"
    with serving(reply) as server:
        endpoint = ("--judge-endpoint", server.url)
        assert small_run(out, prompts, copies, *endpoint) == 1
        failures = [json.loads(line) for line in (out / "longtext/failures.jsonl").read_text().splitlines()]
        assert [row["image"] for row in failures] == ["0000_1.png", "0001_0.png", "0001_1.png", "0001_2.png"]
        for row, reason in zip(
            failures, ["no picture", "not readable", "not readable", "16 pixels"], strict=True
        ):
            assert re.search(reason.replace("not readable", "not a readable picture"), row["error"]), row
        printed = capsys.readouterr().out
        assert "1 pictures belong to no prompt, first: 0009_0.png" in printed
        assert "4 of 8 pictures judged" in printed
        scores = scores_of(out, "longtext")
        assert (scores["counts"]["judged"], scores["counts"]["pictures"]) == (4, 8)
        assert scores["score"] == pytest.approx((3 * 3 + 4) / (3 * 3 + 7)), "what is missing is not a zero"
        assert "**longtext is incomplete: 4 of 8 pictures are judged.**" in (out / "report.md").read_text()
        assert small_run(out, prompts, copies, *endpoint, "--allow-incomplete") == 0
        for number, name in enumerate(("0000_1.png", "0001_0.png", "0001_1.png", "0001_2.png")):
            save(copies, name, shade(100 + number))
        assert small_run(out, prompts, copies, *endpoint) == 0
        assert len(server.bodies) == 8, "the next run asks for what was missing, and for nothing else"


def test_a_changed_picture_is_judged_again_and_an_equal_one_is_not(tmp_path, prompts, copies):
    out = tmp_path / "out"
    with serving(reply) as server:
        small_run(out, prompts, copies, "--judge-endpoint", server.url)
        save(copies, "0000_1.png", shade(200))
        save(copies, "0000_2.png", shade(200))
        small_run(out, prompts, copies, "--judge-endpoint", server.url)
        assert len(server.bodies) == 9


def test_answers_that_cannot_be_used_are_failures_and_asked_again(tmp_path, prompts, pictures):
    replies = {"good": False}

    def moody(text, picture):
        return '{"score": 5}' if replies["good"] or "Nice" in text else "I would say five."

    arguments = ["--output", str(tmp_path), "--benchmark", "prism", "--prompts", str(prompts)]
    arguments += ["--images", str(pictures), "--set", "verify=false", "--set", "judge.concurrency=1"]
    with serving(moody) as server:
        arguments += ["--judge-endpoint", server.url]
        assert main(["run", *arguments]) == 1
        rows = [json.loads(line) for line in (tmp_path / "prism/failures.jsonl").read_text().splitlines()]
        assert {row["question"] for row in rows} == {"alignment"}
        assert "I would say five." in rows[0]["error"]
        assert scores_of(tmp_path, "prism")["counts"] == {
            "pictures": 14,
            "judged": 0,
            "answers_expected": 28,
            "answers": 14,
            "counted": 14,
        }
        replies["good"] = True
        assert main(["run", *arguments]) == 0
        assert len(server.bodies) == 28 + 14


def test_an_endpoint_that_dies_loses_nothing(tmp_path, prompts, pictures):
    out = tmp_path / "out"
    settings = ["--set", "judge.retries=0", "--set", "judge.concurrency=1"]
    with serving(reply) as server:
        faults = ["plain"] * 3 + ["error"] * 30
        server.faults = list(faults)
        arguments = [*settings, "--judge-endpoint", server.url]
        assert small_run(out, prompts, pictures, *arguments) == 1
        assert len((out / "longtext/judged.jsonl").read_text().splitlines()) == 3
        server.faults = []
        assert small_run(out, prompts, pictures, *arguments) == 0
        assert len(server.bodies) == 8 + 5


def test_a_judge_that_always_fails_ends_the_stage(tmp_path, prompts, pictures):
    with serving(reply, ["error"] * 1000) as server:
        settings = [
            "--set",
            "judge.retries=0",
            "--set",
            "judge.concurrency=1",
            "--judge-endpoint",
            server.url,
        ]
        arguments = ["--output", str(tmp_path), "--benchmark", "prism", "--prompts", str(prompts)]
        arguments += ["--images", str(pictures), "--set", "verify=false"]
        with pytest.raises(UserError, match=r"failed 20 times in a row, last: .*500.*kept, run again"):
            main(["judge", *arguments, *settings])
        assert len(server.bodies) == 20
    assert len((tmp_path / "prism/failures.jsonl").read_text().splitlines()) == 20


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seed", "4"], "another run: seed 0, not 4"),
        (["--set", "judge.model=other"], "another run: judges"),
        (["--variant", "repeated2"], 'another run: variant "original", not "repeated2"'),
        (["--limit", "1"], "another run: limit 0, not 1"),
    ],
)
def test_settings_are_not_mixed_in_one_folder(tmp_path, prompts, pictures, more, message):
    with serving(reply) as server:
        endpoint = ("--judge-endpoint", server.url)
        assert small_run(tmp_path, prompts, pictures, *endpoint) == 0
        before = (tmp_path / "longtext/judged.jsonl").read_bytes()
        with pytest.raises(UserError, match=message):
            small_run(tmp_path, prompts, pictures, *endpoint, *more)
        assert (tmp_path / "longtext/judged.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["judg"], "unknown stage or benchmark 'judg'; did you mean 'judge'"),
        (["score"], "--output"),
        (["score", "--output", "."], "holds no run: `i1 bench prepare"),
        (["run", "--output", ".", "--suite", "i2"], "unknown suite 'i2'"),
        (
            ["run", "--output", ".", "--benchmark", "genevall"],
            "unknown benchmark 'genevall'; did you mean 'geneval'",
        ),
        (["run", "--output", ".", "--set", "genval:judge=external"], "unknown benchmark in --set 'genval'"),
        (["run", "--output", ".", "--count", "0", "--benchmark", "dpg"], "--count 0: expected"),
        (["compare", "a"], "the following arguments are required: B"),
        (["compare", "a", "b", "--margin", "0"], "--margin 0.0: expected a number above 0"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        main(arguments)
    assert list(tmp_path.iterdir()) == []


def test_published_layouts_are_found(tmp_path, prompts, pictures):
    folder = tmp_path / "judged"
    benchmark = LongTextConfig(prompts=str(prompts), verify=False).build()
    for number, request in enumerate(benchmark.requests(4, 0)):
        save(folder / "longtext", request.published.path.with_suffix(".jpg"), shade(number))
    grid = np.concatenate(
        [np.concatenate([shade(0), shade(40)], 1), np.concatenate([shade(80), shade(120)], 1)]
    )
    for item in ("first1", "second2"):
        save(folder / "dpg", f"{item}.png", grid)
    with serving(reply) as server:
        arguments = ["--output", str(tmp_path / "out"), "--benchmark", "longtext", "--benchmark", "dpg"]
        arguments += ["--prompts", str(prompts), "--images", str(folder), "--set", "verify=false"]
        assert main(["run", *arguments, "--judge-endpoint", server.url]) == 0
    assert scores_of(tmp_path / "out", "dpg")["score"] == pytest.approx(100 * (1 + 3 * 0.5) / 4)


def test_questions_can_be_answered_on_another_machine(tmp_path, prompts, pictures):
    arguments = ["--output", str(tmp_path), "--benchmark", "dpg", "--prompts", str(prompts)]
    arguments += ["--images", str(pictures), "--set", "verify=false"]
    assert main(["judge", *arguments, "--write-questions"]) == 0
    questions = [json.loads(line) for line in (tmp_path / "dpg/questions.jsonl").read_text().splitlines()]
    assert len(questions) == 8 * 2
    answers = tmp_path / "answers.jsonl"
    rows = [{"pixels": q["pixels"], "question": q["question"], "answer": "yes"} for q in questions]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = ["judge=recorded", f"judge.path={answers}", "judge.name=mplug-large"]
    assert main(["run", *arguments, *(part for value in recorded for part in ("--set", value))]) == 0
    assert scores_of(tmp_path, "dpg")["score"] == 100


def test_runs_are_compared_prompt_by_prompt(tmp_path, prompts, pictures, capsys):
    better = tmp_path / "pictures" / "prism"
    for path in (pictures / "prism").iterdir():
        save(better, path.name, np.asarray(Image.open(path)) + np.uint8(60))

    def rate(text, picture):
        number = int(text.split()[-1])
        return json.dumps({"score": (5 if picture.mean() < 60 else 8) + number})

    with serving(rate) as server:
        arguments = ["--benchmark", "prism", "--prompts", str(prompts), "--set", "verify=false"]
        arguments += ["--judge-endpoint", server.url]
        for name, images in (("a", pictures), ("b", tmp_path / "pictures")):
            assert main(["run", "--output", str(tmp_path / name), "--images", str(images), *arguments]) == 0
    capsys.readouterr()
    out = tmp_path / "comparison.json"
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main(["compare", *folders, "--margin", "5", "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "prism: 55 to 85, difference +30, 95% interval +30 to +30, p 0.0005, 14 prompts" in printed
    assert "not shown to be equivalent within 5" in printed
    assert json.loads(out.read_text())["prism"]["equivalent"] is False
    assert main(["compare", folders[0], folders[0], "--margin", "5"]) == 0
    assert (
        "difference +0, 95% interval +0 to +0, p 1, 14 prompts; equivalent within 5"
        in capsys.readouterr().out
    )
