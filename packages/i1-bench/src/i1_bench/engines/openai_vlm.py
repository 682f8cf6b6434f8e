"""Vision-language models behind an OpenAI-compatible endpoint, such as vLLM."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from i1_hooks import UserError

from i1_bench.engines.http import Endpoint, key_from
from i1_bench.judges import Judge, JudgeConfig, JudgeError, Picture, TextJudge, YesNoJudge

YES_OR_NO = "{question} Answer with exactly one word in lower case: yes or no."


@dataclass(frozen=True, kw_only=True)
class OpenAiVlm(JudgeConfig):
    """A model that replies to a text about a picture: `POST {endpoint}/chat/completions`.

    The message holds the picture as a data URL, then the text.

    Attributes:
        endpoint: address up to and with `/v1`.
        model: its name there.
        api_key_variable: the environment variable that holds the key; an unset one sends no key.
        max_tokens: of a reply.
        temperature: None leaves it to the server, which takes that of the checkpoint.
        add_vision_id: has the chat template number the picture ("Picture 1: "), as Qwen2.5-VL can.
        max_pixels: the model's picture size, as Qwen2.5-VL takes it; None leaves it to the server.
        timeout: seconds for one reply.
        retries: further tries of a call that failed in a way that may pass.
        backoff: seconds before the first of them, doubled each time.
        concurrency: calls at once.
    """

    endpoint: str = "http://localhost:8000/v1"
    model: str = ""
    api_key_variable: str = "OPENAI_API_KEY"
    max_tokens: int = 1024
    temperature: float | None = None
    add_vision_id: bool = False
    max_pixels: int | None = None
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 1.0
    concurrency: int = 8

    def build(self) -> Judge:
        """Returns the judge.

        Raises:
            UserError: without a model.
        """
        return Vlm(self)

    def unrecorded(self) -> frozenset[str]:
        """Returns the fields that replies do not depend on."""
        return frozenset({"endpoint", "api_key_variable", "timeout", "retries", "backoff", "concurrency"})


class Vlm(TextJudge):
    """The judge of an `OpenAiVlm`."""

    def __init__(self, config: OpenAiVlm) -> None:
        if not config.model:
            raise UserError(
                "openai_vlm: no model: name the one the endpoint serves with --set judge.model=NAME"
            )
        self._config = config
        self.concurrency = config.concurrency
        self._endpoint = Endpoint(
            url=config.endpoint,
            key=key_from(config.api_key_variable),
            timeout=config.timeout,
            retries=config.retries,
            backoff=config.backoff,
        )

    def reply(self, picture: Picture, prompt: str) -> str:
        """Returns the reply of the model."""
        answer = self._endpoint.post("chat/completions", self._body(picture, prompt))
        try:
            content = answer["choices"][0]["message"]["content"]
        except (TypeError, KeyError, IndexError) as error:
            raise JudgeError(
                f"the endpoint's answer has no choices[0].message.content: {answer!r:.200}"
            ) from error
        if not isinstance(content, str) or not content.strip():
            raise JudgeError(f"the reply is empty: {content!r:.200}")
        return content

    def _body(self, picture: Picture, prompt: str) -> dict[str, Any]:
        url = "data:image/png;base64," + base64.b64encode(picture.png).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
        config = self._config
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": config.max_tokens,
        }
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if config.add_vision_id:
            body["chat_template_kwargs"] = {"add_vision_id": True}
        if config.max_pixels is not None:
            body["mm_processor_kwargs"] = {"max_pixels": config.max_pixels}
        return body


@dataclass(frozen=True, kw_only=True)
class VlmYesNo(OpenAiVlm):
    """A vision-language model that answers yes or no: a variant of the published judge of DPG-Bench.

    The question is followed by an instruction; a reply that begins with yes or no in any spelling counts as
    that word.
    """

    model: str = "Qwen/Qwen2.5-VL-72B-Instruct"
    max_tokens: int = 16

    def build(self) -> Judge:
        """Returns the judge."""
        return YesNo(self)


class YesNo(YesNoJudge):
    """The judge of a `VlmYesNo`."""

    def __init__(self, config: VlmYesNo) -> None:
        self._vlm = Vlm(config)
        self.concurrency = config.concurrency

    def answer(self, picture: Picture, question: Any) -> Any:
        """Returns `yes` or `no`."""
        reply = self._vlm.reply(picture, YES_OR_NO.format(question=question))
        word = reply.strip().lstrip("*\"'").lower()
        for answer in ("yes", "no"):
            if word.startswith(answer) and not word[len(answer) : len(answer) + 1].isalpha():
                return answer
        raise JudgeError(f"neither yes nor no: {reply!r:.200}")
