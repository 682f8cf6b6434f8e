"""Judges behind a real HTTP server that speaks the OpenAI protocol."""

import numpy as np
import pytest
from i1_bench.engines.openai_vlm import OpenAiVlm, VlmYesNo
from i1_bench.judges import JudgeError, Picture, describe
from i1_hooks import UserError
from vlm_server import serving

GREY = Picture(pixels=np.full((32, 48, 3), 100, np.uint8))


def judge(server, kind=OpenAiVlm, **settings):
    return kind(**{"endpoint": server.url, "model": "m", "backoff": 0.01, "timeout": 0.5, **settings}).build()


def echo(text, picture):
    return f"{text} {picture.shape[1]}x{picture.shape[0]} {picture.mean():.0f}"


def test_a_picture_and_a_text_become_a_reply(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serving(echo) as server:
        assert judge(server).reply(GREY, "What?") == "What? 48x32 100"
        (path, body), key = server.bodies[0], server.keys[0]
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert body["model"] == "m"
    assert body["max_tokens"] == 1024
    assert "temperature" not in body
    assert [part["type"] for part in body["messages"][0]["content"]] == ["image_url", "text"]


def test_settings_of_the_model_are_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(echo) as server:
        judge(server, add_vision_id=True, max_pixels=1000, temperature=0.0).reply(GREY, "What?")
        (_, body), key = server.bodies[0], server.keys[0]
    assert key is None
    assert body["chat_template_kwargs"] == {"add_vision_id": True}
    assert body["mm_processor_kwargs"] == {"max_pixels": 1000}
    assert body["temperature"] == 0


@pytest.mark.parametrize("fault", ["rate", "error", "drop", "html", "short", "slow"])
def test_what_passes_is_tried_again(fault):
    with serving(echo, [fault, fault]) as server:
        assert judge(server).reply(GREY, "What?").startswith("What?")
        assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("rate", r"429: .*slow down.*\(3 tries\)"),
        ("error", r"500: oops again \(3 tries\)"),
        ("html", r"no JSON \(3 tries\)"),
        ("slow", r"gave no answer: .*timed out"),
    ],
)
def test_what_does_not_pass_is_a_failure_of_this_call(fault, message):
    with serving(echo, [fault] * 3) as server:
        with pytest.raises(JudgeError, match=message):
            judge(server, retries=2).reply(GREY, "What?")
        assert judge(server).reply(GREY, "What?")


@pytest.mark.parametrize(
    ("fault", "message"),
    [("refuse", "400: .*picture too large"), ("empty", "reply is empty"), ("other", "no choices")],
)
def test_a_refused_picture_is_not_tried_again(fault, message):
    with serving(echo, [fault]) as server:
        with pytest.raises(JudgeError, match=message):
            judge(server).reply(GREY, "What?")
        assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_key_or_address_ends_the_run(status):
    with serving(echo) as server:
        server.status = status
        with pytest.raises(UserError, match=rf"{status}: .*check the endpoint, the model and the key"):
            judge(server).reply(GREY, "What?")


def test_no_server_is_a_failure_that_names_the_address():
    with serving(echo) as server:
        gone = judge(server, retries=1)
    with pytest.raises(JudgeError, match=r"127.0.0.1.* gave no answer: .*refused.*\(2 tries\)"):
        gone.reply(GREY, "What?")


@pytest.mark.parametrize(
    ("reply", "answer"), [("yes", "yes"), ("Yes.", "yes"), (" **No**, it", "no"), ("NO", "no")]
)
def test_yes_and_no_in_any_spelling(reply, answer):
    with serving(lambda text, picture: reply) as server:
        assert judge(server, VlmYesNo).answer(GREY, "Is there a boat?") == answer
        assert server.bodies[0][1]["messages"][0]["content"][1]["text"].startswith("Is there a boat? Answer")


@pytest.mark.parametrize("reply", ["maybe", "nothing", "yesterday"])
def test_anything_else_is_a_failure(reply):
    with (
        serving(lambda text, picture: reply) as server,
        pytest.raises(JudgeError, match=f"neither yes nor no: '{reply}'"),
    ):
        judge(server, VlmYesNo).answer(GREY, "Is there a boat?")


def test_a_judge_is_known_by_what_replies_depend_on():
    with serving(echo) as server:
        config = OpenAiVlm(endpoint=server.url, model="m", concurrency=3)
        found = describe(config, config.build())
    assert found["model"] == "m"
    assert not {"endpoint", "concurrency", "timeout", "api_key_variable"} & found.keys()


def test_without_a_model_there_is_no_judge():
    with pytest.raises(UserError, match=r"no model: .*judge.model=NAME"):
        OpenAiVlm().build()
