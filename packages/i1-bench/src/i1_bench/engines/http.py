"""JSON over HTTP with patience: retries for what passes, an error for what does not."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from i1_hooks import UserError
from i1_hooks.text import one_line

from i1_bench.judges import JudgeError

_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
"""Statuses that may pass: the same call can succeed later."""
_REFUSED = {401, 403, 404, 405}
"""Statuses that no other picture changes: the address or the key is wrong."""
_LONGEST_WAIT = 60.0
_MESSAGE_LENGTH = 300


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible server.

    Attributes:
        url: up to and with `/v1`.
        key: sent as bearer token; empty sends none.
        timeout: seconds for one answer.
        retries: further tries of a call that failed in a way that may pass.
        backoff: seconds before the first of them; doubled before each further one.
    """

    url: str
    key: str = ""
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 1.0

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Returns the JSON answer to a JSON body.

        Args:
            path: below `url`.
            body: what is sent.

        Raises:
            JudgeError: when every try failed, or the server refuses this body.
            UserError: when it refuses the key or does not know the path.
        """
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "i1-bench"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        url = f"{self.url.rstrip('/')}/{path}"
        request = urllib.request.Request(url, data, headers)
        wait, reason = self.backoff, ""
        for attempt in range(self.retries + 1):
            pause = wait
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                reason = f"{url} answered {error.code}: {_message(error)}"
                if error.code in _REFUSED:
                    raise UserError(f"{reason}; check the endpoint, the model and the key") from error
                if error.code not in _PASSING:
                    raise JudgeError(reason) from error
                pause = _retry_after(error, wait)
            except (OSError, http.client.HTTPException) as error:
                reason = f"{url} gave no answer: {one_line(error)}"
            except ValueError:
                reason = f"{url} answered what is no JSON"
            if attempt < self.retries:
                time.sleep(min(pause, _LONGEST_WAIT))
                wait *= 2
        raise JudgeError(f"{reason} ({self.retries + 1} tries)")


def _message(error: urllib.error.HTTPError) -> str:
    return one_line(error.read()[:_MESSAGE_LENGTH].decode("utf-8", "replace"))


def _retry_after(error: urllib.error.HTTPError, otherwise: float) -> float:
    try:
        return max(0.0, float(error.headers.get("Retry-After", "")))
    except ValueError:
        return otherwise


def key_from(variable: str) -> str:
    """Returns the key in an environment variable; an absent one is empty, for servers that need none."""
    return os.environ.get(variable, "") if variable else ""
