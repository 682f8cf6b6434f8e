"""Rewriting by a language model behind any OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from i1_hooks import UserError

from i1_sample.rewriters.base import RewriterConfig

_INSTRUCTION = (
    "Rewrite the user's request for a picture as one detailed English paragraph that an image generator "
    "can follow. Keep every object, number, colour, position and quoted text exactly. "
    "Answer with the paragraph alone."
)


@dataclass(frozen=True, kw_only=True)
class OpenAIRewriter(RewriterConfig):
    """Asks `POST {base_url}/chat/completions` once per prompt.

    Attributes:
        base_url: the endpoint up to and including its version, for example that of a local server.
        model: the model's name there.
        api_key_env: the environment variable that holds the key; none is sent when it is unset.
        instruction: the system message.
        temperature: of sampling, at least 0.
        timeout: seconds to wait for one answer.
    """

    base_url: str = "http://localhost:8000/v1"
    model: str = "default"
    api_key_env: str = "OPENAI_API_KEY"
    instruction: str = _INSTRUCTION
    temperature: float = 0.6
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise UserError(
                f"rewriter 'openai': base_url must be an http or https address, got {self.base_url!r}"
            )

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """Returns the model's answers.

        Raises:
            UserError: naming the endpoint, when it cannot be reached, refuses, or gives no text.
        """
        return [self._ask(prompt) if prompt.strip() else prompt for prompt in prompts]

    def _ask(self, prompt: str) -> str:
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        body = {
            "model": self.model,
            "temperature": self.temperature,
            "messages": [
                {"role": "system", "content": self.instruction},
                {"role": "user", "content": prompt},
            ],
        }
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.api_key_env):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read(300).decode(errors="replace").strip()
            raise UserError(f"rewriter 'openai': {url} answered {error.code}: {detail}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise UserError(
                f"rewriter 'openai': no answer from {url}: {reason}; is the server running?"
            ) from error
        return _text(answer, url)


def _text(answer: Any, url: str) -> str:
    try:
        text = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"rewriter 'openai': {url} gave no text: {json.dumps(answer)[:300]}")
    return text.strip()
