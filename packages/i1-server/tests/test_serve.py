import signal
import socket
import threading
import time

import httpx2 as httpx
import pytest
from i1_hooks import UserError
from i1_server.cli import build_parser, main, read_limits
from served import body


def test_a_port_in_use_is_one_clear_line(capsys):
    from i1_hooks import cli

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["serve", "--port", str(port)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"i1: error: port {port} of 127.0.0.1 is in use; choose another with --port, or 0 for a free one"
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--host", "0.0.0.0"], "--api-key-file"),
        (["--port", "70000"], "65535"),
        (["--host", "192.0.2.1", "--api-key-file", "KEYS"], "192.0.2.1"),
        (["--api-key-file", "absent"], "absent"),
        (["--api-key-file", "EMPTY"], "holds no key"),
        (["--batch-size", "3"], "power of two"),
        (["--queue", "0"], "--queue"),
        (["--max-side", "0"], "--max-side"),
        (["--stop-seconds", "-1"], "--stop-seconds"),
        (["--model", "scenes", "--model", "scenes"], "twice"),
        (["--model", "absent", "--port", "0"], "absent"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(arguments, named, tmp_path):
    (tmp_path / "keys").write_text("secret\n")
    (tmp_path / "empty").write_text("\n\n")
    paths = {"KEYS": str(tmp_path / "keys"), "EMPTY": str(tmp_path / "empty")}
    with pytest.raises(UserError, match=named):
        main([paths.get(argument, argument) for argument in arguments])


def test_limits_come_from_the_command_line():
    limits = read_limits(build_parser().parse_args(["--max-side", "96", "--batch-size", "4", "--queue", "5"]))
    assert (limits.largest_side, limits.batch_size, limits.queued_images) == (96, 4, 5)


def test_a_key_opens_the_server_and_a_wrong_one_does_not(start_server, tmp_path):
    (tmp_path / "keys").write_text("first\nsecond\n")
    server = start_server("--api-key-file", str(tmp_path / "keys"))
    for given in (None, "", "Bearer", "Bearer wrong", "Basic first", "Bearer first second", "Bearer fir"):
        headers = {} if given is None else {"Authorization": given}
        answer = server.client.get("/v1/models", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    for key in ("first", "second"):
        assert server.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert server.client.get("/healthz").status_code == 200
    assert server.stop() == 0


def test_sigterm_finishes_what_runs_and_reports_what_waits(start_server):
    server = start_server("--batch-size", "1")
    assert server.generate().status_code == 200  # compiles
    answers = {}

    def ask(name, steps):
        with httpx.Client(base_url=server.address, timeout=300) as client:
            answers[name] = client.post("/v1/images/generations", json=body(num_inference_steps=steps))

    running = threading.Thread(target=ask, args=("running", 100))
    running.start()
    wait_until(lambda: "i1_batch_pictures_sum 2.0" in server.client.get("/metrics").text)
    waiting = threading.Thread(target=ask, args=("waiting", 2))
    waiting.start()
    wait_until(lambda: server.client.get("/healthz").json()["queued"] == 1)
    server.process.send_signal(signal.SIGTERM)
    running.join()
    waiting.join()
    assert answers["running"].status_code == 200
    assert answers["waiting"].status_code == 503
    assert answers["waiting"].json()["error"]["code"] == "stopping"
    assert server.stop() == 0


def test_sigterm_reports_what_cannot_finish_in_time(start_server):
    server = start_server("--stop-seconds", "1", "--max-steps", "10000")
    job = server.client.post("/v1/jobs", json=body(num_inference_steps=10000)).json()["id"]
    wait_until(lambda: server.client.get(f"/v1/jobs/{job}").json()["steps_done"][0] > 0)
    assert server.stop() == 0
    told = [line for line in server.log if job in line]
    assert len(told) == 1, server.log
    assert "of 10000" in told[0]


def wait_until(condition):
    while not condition():
        time.sleep(0.02)
