"""Rewriting by a language model behind any OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from i1_hooks import UserError
from i1_hooks.text import one_line

from i1_sample.rewriters.base import RewriterConfig
from i1_sample.rewriters.endpoint import Endpoint, without_thoughts

_INSTRUCTION = (
    "Rewrite the user's request for a picture as one detailed English paragraph that an image generator "
    "can follow. Keep every object, number, colour, position and quoted text exactly. "
    "Answer with the paragraph alone."
)


@dataclass(frozen=True, kw_only=True)
class OpenAIRewriter(RewriterConfig):
    """Asks `POST {base_url}/chat/completions` once per prompt.

    What a reasoning model writes between `<think>` and `</think>` is removed from its answer.

    Attributes:
        base_url: the endpoint up to and including its version, for example that of a local server. Proxies
            are taken from the environment, but not for this machine.
        model: the model's name there.
        api_key_env: the environment variable that holds the key; none is sent when it is unset.
        instruction: the system message.
        temperature: of sampling, at least 0.
        max_tokens: longest answer in tokens; 0 leaves it to the server.
        timeout: seconds to wait for one answer.
    """

    base_url: str = "http://localhost:8000/v1"
    model: str = "default"
    api_key_env: str = "OPENAI_API_KEY"
    instruction: str = _INSTRUCTION
    temperature: float = 0.6
    max_tokens: int = 0
    timeout: float = 60.0

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UserError(
                f"rewriter 'openai': base_url must be an http or https address, got {self.base_url!r}"
            )
        if self.temperature < 0 or self.timeout <= 0 or self.max_tokens < 0:
            raise UserError(
                "rewriter 'openai': temperature and max_tokens must be at least 0 and timeout above 0, got "
                f"{self.temperature}, {self.max_tokens} and {self.timeout}"
            )

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """Returns the model's answers.

        Raises:
            UserError: naming the endpoint, when it cannot be reached, refuses, is cut short, or gives no
                text.
        """
        endpoint = Endpoint(f"{self.base_url.rstrip('/')}/chat/completions", self.api_key_env, self.timeout)
        return [self._ask(endpoint, prompt) if prompt.strip() else prompt for prompt in prompts]

    def _ask(self, endpoint: Endpoint, prompt: str) -> str:
        body: dict[str, Any] = {
            "model": self.model,
            "temperature": self.temperature,
            "messages": [
                {"role": "system", "content": self.instruction},
                {"role": "user", "content": prompt},
            ],
        }
        if self.max_tokens:
            body["max_tokens"] = self.max_tokens
        answer = endpoint.ask(body)
        text = without_thoughts(answer.text)
        if answer.is_cut:
            raise UserError(
                f"rewriter 'openai': {endpoint.url} cut its answer to {prompt[:60]!r} short; raise "
                "max_tokens of the rewriter or of the server, or turn reasoning off"
            )
        if not text:
            raise UserError(
                f"rewriter 'openai': {endpoint.url} gave no text for {prompt[:60]!r}, but "
                f"{one_line(answer.text or answer.raw)[:300]!r}"
            )
        return text
