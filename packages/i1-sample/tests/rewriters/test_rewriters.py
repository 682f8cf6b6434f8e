import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from i1_hooks import UserError
from i1_sample.rewriters import NoRewriter
from i1_sample.rewriters.openai import OpenAIRewriter
from i1_sample.rewriters.template import TemplateRewriter
from i1_sample.testing.rewriters import RewriterSuite


class TestNoRewriter(RewriterSuite):
    component = NoRewriter()


class TestTemplate(RewriterSuite):
    component = TemplateRewriter(template="{prompt}, on white")

    def test_fills_the_template(self) -> None:
        assert self.component.rewrite(["a star"]) == ["a star, on white"]


def test_a_template_without_its_place_is_refused() -> None:
    with pytest.raises(UserError, match=r"'a star' must contain \{prompt\}"):
        TemplateRewriter(template="a star")


class Answer(BaseHTTPRequestHandler):
    """Repeats the prompt in capitals, or what the test put into `reply`."""

    requests: list[dict] = []  # noqa: RUF012 (one server per test)
    reply: tuple[int, dict] | None = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        text = body["messages"][-1]["content"].upper()
        status, answer = self.reply or (200, {"choices": [{"message": {"content": f" {text} "}}]})
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server():
    Answer.requests, Answer.reply = [], None
    with HTTPServer(("127.0.0.1", 0), Answer) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/v1"
        httpd.shutdown()
        thread.join()


class TestOpenAI(RewriterSuite):
    @pytest.fixture(autouse=True)
    def _rewriter(self, server: str) -> None:
        self.component = OpenAIRewriter(base_url=server, model="small", api_key_env="TEST_KEY")

    def test_sends_instruction_prompt_and_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_KEY", "secret")
        assert self.component.rewrite(["a star"]) == ["A STAR"]
        (request,) = Answer.requests
        assert request["path"] == "/v1/chat/completions"
        assert request["key"] == "Bearer secret"
        assert request["model"] == "small"
        assert [m["role"] for m in request["messages"]] == ["system", "user"]

    def test_a_refusal_is_a_user_error(self) -> None:
        Answer.reply = (429, {"error": "too many"})
        with pytest.raises(UserError, match=r"answered 429: .*too many"):
            self.component.rewrite(["a star"])

    def test_an_answer_without_text_is_a_user_error(self) -> None:
        Answer.reply = (200, {"choices": []})
        with pytest.raises(UserError, match="gave no text"):
            self.component.rewrite(["a star"])


def test_an_absent_server_is_a_user_error(server: str) -> None:
    absent = OpenAIRewriter(base_url="http://127.0.0.1:9/v1", timeout=2.0)
    with pytest.raises(UserError, match=r"no answer from .*; is the server running"):
        absent.rewrite(["a star"])
    with pytest.raises(UserError, match="base_url must be an http"):
        OpenAIRewriter(base_url="file:///etc/passwd")
