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
    reply: tuple[int, dict | bytes] | None = None
    extra = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        text = body["messages"][-1]["content"].upper()
        status, answer = self.reply or (200, {"choices": [{"message": {"content": f" {text} "}}]})
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) + self.extra))
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

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("<think>A star, so\nyellow.</think>\n\nA yellow star.", "A yellow star."),
            ("A star, so yellow.</think> A yellow star.", "A yellow star."),
            ("<THINK>one</THINK>A <think>two</think>star.", "A star."),
            ([{"type": "text", "text": "A yellow star."}], "A yellow star."),
        ],
    )
    def test_thoughts_are_not_part_of_the_prompt(self, content, expected) -> None:
        Answer.reply = (200, {"choices": [{"message": {"content": content}}]})
        assert self.component.rewrite(["a star"]) == [expected]

    def test_an_answer_that_was_cut_is_refused(self) -> None:
        cut = {"message": {"content": "<think>A star, so"}, "finish_reason": "length"}
        Answer.reply = (200, {"choices": [cut]})
        with pytest.raises(UserError, match=r"cut its answer to 'a star' short; raise max_tokens"):
            self.component.rewrite(["a star"])

    def test_only_thoughts_are_no_answer(self) -> None:
        Answer.reply = (200, {"choices": [{"message": {"content": "<think>A star.</think>"}}]})
        with pytest.raises(UserError, match="gave no text for 'a star'"):
            self.component.rewrite(["a star"])

    def test_server_sent_events_are_joined(self) -> None:
        events = [{"choices": [{"delta": {"content": text}}]} for text in ("A yellow ", "star.")]
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        Answer.reply = (200, "".join([": hello\n\n", *lines, "data: [DONE]\n\n"]).encode())
        assert self.component.rewrite(["a star"]) == ["A yellow star."]

    def test_a_page_that_is_not_json_is_named(self) -> None:
        Answer.reply = (200, b"<html>log in</html>")
        with pytest.raises(UserError, match=r"did not answer with JSON: '<html>log in</html>'"):
            self.component.rewrite(["a star"])

    def test_an_answer_that_breaks_off_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Answer, "extra", 10)
        with pytest.raises(UserError, match=r"broke off its answer after \d+ bytes"):
            self.component.rewrite(["a star"])

    def test_a_line_feed_after_the_key_is_dropped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_KEY", "secret\n")
        self.component.rewrite(["a star"])
        assert Answer.requests[0]["key"] == "Bearer secret"

    @pytest.mark.parametrize("key", ["sec\nret", "sec ret", "sécret"])
    def test_a_key_that_cannot_be_sent_is_never_shown(self, key, monkeypatch) -> None:
        monkeypatch.setenv("TEST_KEY", key)
        with pytest.raises(UserError, match=r"the key in \$TEST_KEY holds characters") as error:
            self.component.rewrite(["a star"])
        assert key not in str(error.value)
        assert Answer.requests == []

    def test_a_refusal_that_repeats_the_key_does_not_show_it(self, monkeypatch) -> None:
        monkeypatch.setenv("TEST_KEY", "secret")
        Answer.reply = (401, {"error": "wrong key secret"})
        with pytest.raises(UserError, match=r"answered 401: .*wrong key \*\*\*"):
            self.component.rewrite(["a star"])

    def test_this_machine_is_asked_without_a_proxy(self, monkeypatch) -> None:
        monkeypatch.setenv("http_proxy", "http://user:password@127.0.0.1:9")
        assert self.component.rewrite(["a star"]) == ["A STAR"]
        elsewhere = OpenAIRewriter(base_url="http://example.invalid/v1", timeout=2.0)
        with pytest.raises(
            UserError, match=r"invalid/v1/chat/completions through the proxy 127.0.0.1:9: "
        ) as e:
            elsewhere.rewrite(["a star"])
        assert "password" not in str(e.value)

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
