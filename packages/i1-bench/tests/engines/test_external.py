"""A judge in a process of its own, and answers given elsewhere."""

import json
import shlex
import sys

import numpy as np
import pytest
from i1_bench.engines.external import External
from i1_bench.engines.recorded import Recorded
from i1_bench.judges import JudgeError, Picture
from i1_hooks import UserError
from PIL import Image

PROGRAM = """
import json, sys
from PIL import Image
for line in sys.stdin:
    row = json.loads(line)
    mean = sum(Image.open(row["image"]).convert("L").getdata()) / 16
    if row["question"] == "leave":
        sys.exit(3)
    if row["question"] == "babble":
        print("hello", flush=True)
    elif row["question"] == "fail":
        print(json.dumps({"id": row["id"], "error": "too dark"}), flush=True)
    else:
        print(json.dumps({"id": row["id"], "answer": "yes" if mean > 50 else "no"}), flush=True)
"""


def grey(value):
    return Picture(pixels=np.full((4, 4, 3), value, np.uint8))


@pytest.fixture
def judge(tmp_path):
    program = tmp_path / "judge.py"
    program.write_text(PROGRAM)
    command = f"{shlex.quote(sys.executable)} -W ignore {shlex.quote(str(program))}"
    judge = External(command=command, name="mean-1").build()
    yield judge
    judge.close()


def test_a_program_answers_one_question_after_another(judge, tmp_path):
    assert judge.kind == "vqa"
    assert [judge.answer(grey(value), "bright?") for value in (0, 100, 20, 90)] == ["no", "yes", "no", "yes"]
    path = tmp_path / "picture.png"
    Image.fromarray(grey(70).pixels).save(path)
    assert judge.answer(Picture(pixels=grey(70).pixels, file=path), "bright?") == "yes"


def test_an_error_is_a_failure_of_one_call(judge):
    with pytest.raises(JudgeError, match="too dark"):
        judge.answer(grey(0), "fail")
    assert judge.answer(grey(80), "bright?") == "yes"


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("leave", "ended with status 3 instead of answering question 1"),
        ("babble", "answered 'hello': expected one"),
    ],
)
def test_a_program_that_breaks_the_protocol_ends_the_run(judge, question, message):
    with pytest.raises(UserError, match=message):
        judge.answer(grey(0), question)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"command": "x"}, "expected command=PROGRAM and name=JUDGE-VERSION"),
        ({"command": "x", "name": "n", "answers": "poem"}, "unknown kind of judge 'poem'"),
    ],
)
def test_mistakes_in_settings(settings, message):
    with pytest.raises(UserError, match=message):
        External(**settings).build()


def test_a_missing_program_is_named():
    judge = External(command="/nonesuch --fast", name="n").build()
    with pytest.raises(UserError, match="cannot start the judge '/nonesuch --fast'"):
        judge.answer(grey(0), "x")
    judge.close()


def test_recorded_answers_belong_to_pixels_and_question(tmp_path):
    path = tmp_path / "answers.jsonl"
    rows = [{"pixels": grey(1).digest, "question": "a?", "answer": "yes"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = Recorded(path=str(path), name="mplug").build()
    assert judge.answer(grey(1), "a?") == "yes"
    for picture, question in ((grey(2), "a?"), (grey(1), "b?")):
        with pytest.raises(JudgeError, match="no answer to"):
            judge.answer(picture, question)
    path.write_text('{"pixels": 1}\n')
    with pytest.raises(UserError, match=r"answers\.jsonl, line 1: expected an object with pixels"):
        Recorded(path=str(path), name="mplug").build()
