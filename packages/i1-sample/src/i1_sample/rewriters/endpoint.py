"""One request to an OpenAI-compatible endpoint, and what its answer says."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from i1_hooks import UserError
from i1_hooks.files import split_lines
from i1_hooks.text import one_line

LOCAL = ("localhost", "127.0.0.1", "::1")
_LARGEST_ANSWER = 2**24
_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_EVENT = "data:"


@dataclass(frozen=True)
class Answer:
    """What a language model said.

    Attributes:
        text: its message; empty when there is none.
        is_cut: whether the server stopped it before it was finished.
        raw: the beginning of the response, for messages.
    """

    text: str
    is_cut: bool
    raw: str


@dataclass(frozen=True)
class Endpoint:
    """An address that answers chat completions.

    Attributes:
        url: the whole address.
        api_key_env: the environment variable that holds the key; none is sent when it is unset or blank.
        timeout: seconds to wait for one answer.
    """

    url: str
    api_key_env: str
    timeout: float

    def ask(self, body: dict[str, Any]) -> Answer:
        """Sends a request and returns the answer, whole or as server-sent events.

        Raises:
            UserError: naming the endpoint and its proxy, when there is no answer or it is not one; the key is
                never shown.
        """
        headers, key = {"Content-Type": "application/json"}, self._key()
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        proxies = self._proxies()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
        try:
            with opener.open(request, timeout=self.timeout) as response:
                data, left = response.read(_LARGEST_ANSWER), response.length
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read(300).decode(errors="replace")
            raise self._error(f"answered {error.code}: {_hide(detail, key)}", proxies) from error
        except http.client.HTTPException as error:
            raise self._error(f"broke off its answer: {type(error).__name__}", proxies) from error
        except (OSError, ValueError) as error:
            reason = _hide(getattr(error, "reason", error), key)
            raise UserError(
                f"rewriter 'openai': no answer from {self.url}{_through(proxies, self.url)}: {reason}; "
                "is the server running?"
            ) from error
        if left or len(data) == _LARGEST_ANSWER:
            raise self._error(f"broke off its answer after {len(data)} bytes", proxies)
        return self._read(data.decode(errors="replace"), proxies)

    def _key(self) -> str:
        key = os.environ.get(self.api_key_env, "").strip()
        if not all(0x21 <= ord(character) <= 0x7E for character in key):
            raise UserError(
                f"rewriter 'openai': the key in ${self.api_key_env} holds characters that no key has, such "
                "as a space or a line feed inside; set it again"
            )
        return key

    def _proxies(self) -> dict[str, str]:
        return {} if urlsplit(self.url).hostname in LOCAL else urllib.request.getproxies()

    def _read(self, text: str, proxies: dict[str, str]) -> Answer:
        try:
            answers = list(_messages(text))
        except ValueError as error:
            raise self._error(f"did not answer with JSON: {one_line(text)[:300]!r}", proxies) from error
        choices = [_first_choice(answer) for answer in answers]
        parts = [_content(choice) for choice in choices]
        is_cut = any(choice.get("finish_reason") == "length" for choice in choices)
        return Answer("".join(parts), is_cut, text[:300])

    def _error(self, what: str, proxies: dict[str, str]) -> UserError:
        return UserError(f"rewriter 'openai': {self.url}{_through(proxies, self.url)} {what}")


def without_thoughts(text: str) -> str:
    """Returns an answer without what a reasoning model wrote before it, and without white space around it.

    Thoughts stand between `<think>` and `</think>`; where the template of a server has written the first tag
    already, they end at the second, and where an answer was cut they have no end.
    """
    text = _THOUGHTS.sub("", text)
    lowered = text.lower()
    if "</think>" in lowered:
        text = text[lowered.rindex("</think>") + len("</think>") :]
    elif "<think>" in lowered:
        text = text[: lowered.index("<think>")]
    return text.strip()


def _messages(text: str) -> Iterator[Any]:
    """Yields the JSON of a response: one value, or one for each server-sent event."""
    if not text.lstrip().startswith((_EVENT, ":", "event:", "id:")):
        yield json.loads(text)
        return
    for line in split_lines(text):
        data = line.removeprefix(_EVENT).strip()
        if line.startswith(_EVENT) and data and data != "[DONE]":
            yield json.loads(data)


def _first_choice(answer: Any) -> dict[str, Any]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _content(choice: dict[str, Any]) -> str:
    """Returns the text of a message, or of the piece of one that an event brings."""
    message = choice.get("message") or choice.get("delta")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _hide(text: object, key: str) -> str:
    shown = one_line(text)
    return shown.replace(key, "***") if key else shown


def _through(proxies: dict[str, str], url: str) -> str:
    """Returns ` through the proxy HOST`, without its password, or nothing where there is none."""
    address = urlsplit(url)
    proxy = proxies.get(address.scheme)
    if proxy is None or urllib.request.proxy_bypass(address.hostname or ""):
        return ""
    place = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return f" through the proxy {place.hostname}:{place.port or 80}"
