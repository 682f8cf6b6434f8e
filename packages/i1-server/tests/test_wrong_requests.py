import socket

import httpx2 as httpx
import pytest
from served import body

WRONG = [
    ({"prompt": None}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": "  \n"}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": ["a", "b"]}, "prompt"),
    ({"prompt": "a\x00b"}, "prompt"),
    ({"prompt": "word " * 300}, "prompt"),
    ({"prompt": "x" * 40_000}, "prompt"),
    ({"n": 0}, "n"),
    ({"n": 11}, "n"),
    ({"n": 1.5}, "n"),
    ({"n": True}, "n"),
    ({"n": "2"}, "n"),
    ({"size": "64"}, "size"),
    ({"size": "0x64"}, "size"),
    ({"size": "63x64"}, "size"),
    ({"size": "-64x64"}, "size"),
    ({"size": "100000x100000"}, "size"),
    ({"size": [64, 64]}, "size"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**32}, "seed"),
    ({"seed": 1e3}, "seed"),
    ({"num_inference_steps": 0}, "num_inference_steps"),
    ({"num_inference_steps": 5001}, "num_inference_steps"),
    ({"num_inference_steps": "two"}, "num_inference_steps"),
    ({"guidance_scale": "much"}, "guidance_scale"),
    ({"guidance_scale": 10**400}, "guidance_scale"),
    ({"guidance_rescale": 2}, "guidance_rescale"),
    ({"shift": -1}, "shift"),
    ({"negative_prompt": 1}, "negative_prompt"),
    ({"negative_prompt": "a\x07b"}, "negative_prompt"),
    ({"solver": "eular"}, "solver"),
    ({"solver": 3}, "solver"),
    ({"time_grid": {"component": "shifted", "shift": "x"}}, "time_grid"),
    ({"guidance": {}}, "guidance"),
    ({"preset": "slow"}, "preset"),
    ({"response_format": "png"}, "response_format"),
    ({"output_format": "webp"}, "output_format"),
    ({"stream": "yes"}, "stream"),
    ({"partial_images": 17}, "partial_images"),
    ({"first_index": -1}, "first_index"),
    ({"steps": 3}, "steps"),
    ({"rewriter": {"component": "openai", "base_url": "http://127.0.0.1"}}, "rewriter"),
    ({"\r\nX-Injected: 1": 3}, "\r\nX-Injected: 1"),
]


@pytest.mark.parametrize(("fields", "name"), WRONG, ids=lambda value: repr(value)[:40])
def test_a_wrong_field_is_named_and_a_right_request_succeeds_afterwards(server, fields, name):
    answer = server.client.post("/v1/images/generations", json={**body(), **fields})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == name, error
    assert len(error["message"].splitlines()) == 1
    assert "x-injected" not in answer.headers
    assert server.client.get("/healthz").status_code == 200


def test_a_right_request_succeeds_after_wrong_ones(server):
    assert server.client.post("/v1/images/generations", json={"prompt": 7}).status_code == 400
    assert server.generate().status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"\xff\xfe", 400),
        (b'{"prompt": "a", "prompt": "b"}', 400),
        (b'{"prompt": "a", "guidance_scale": NaN}', 400),
        (b'{"prompt": "a", "seed": ' + b"1" * 5000 + b"}", 400),
        (b'{"prompt": "\\ud800"}', 400),
        (b'{"prompt": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400),
        (b'{"prompt": "' + b"a" * 2**20 + b'"}', 413),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_body_that_is_no_request_is_refused(server, content, status):
    answer = server.client.post(
        "/v1/images/generations", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_body_without_end_is_cut_off_while_it_is_read(server):
    sent = 0

    def endless():
        nonlocal sent
        while sent < 2**30:
            sent += 2**16
            yield b" " * 2**16

    try:
        answer = server.client.post(
            "/v1/images/generations", content=endless(), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        pass  # the server answered and closed while we were still sending
    assert sent < 2**28
    assert server.client.get("/healthz").status_code == 200


def test_a_declared_gigabyte_is_refused_before_it_is_sent(server):
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000000\r\n\r\n{"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/images/files/../../etc/passwd", 404),
        ("GET", "/v1/images/files/%2e%2e%2f%2e%2e/0.png", 404),
        ("GET", "/v1/images/generations", 405),
        ("GET", "/v1/models/other", 404),
        ("GET", "/v1/jobs/other", 404),
        ("DELETE", "/v1/jobs/other", 404),
        ("GET", "/v1/jobs?limit=0", 400),
    ],
)
def test_a_wrong_address_is_told_in_the_same_shape(server, method, path, status):
    answer = server.client.request(method, path)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_form_of_another_page_is_refused(server):
    answer = server.client.post("/v1/images/generations", content=b'{"prompt": "a"}')
    assert answer.status_code == 415
