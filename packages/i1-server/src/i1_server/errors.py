"""Errors in OpenAI's shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from i1_hooks.text import one_line


class ApiError(Exception):
    """An answer that tells the client what is wrong.

    Args:
        status: the HTTP status.
        message: one line: the value, the choices, the fix.
        param: the field of the request that is at fault.
        code: a stable word for programs.
        retry_after: seconds after which the same request may succeed.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """OpenAI's `type` of the error."""
        if self.status == 401:
            return "authentication_error"
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def content(self) -> dict[str, dict[str, str | None]]:
        """Returns the body of the answer."""
        error = {"message": one_line(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Returns the headers of the answer, besides those of its body."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.status in (408, 413):
            headers["Connection"] = "close"  # the rest of the body is not read
        return headers


def named_field(message: str, fields: Iterable[str], aliases: Mapping[str, str]) -> str | None:
    """Returns the field that an error message names first, None when it names none.

    Args:
        message: of a `UserError`.
        fields: names to look for.
        aliases: what the request calls a name of the message.
    """
    names = "|".join(re.escape(name) for name in sorted({*fields, *aliases}, key=len, reverse=True))
    found = re.search(rf"(?<![a-z_])({names})(?![a-z_])", message)
    return None if found is None else aliases.get(found.group(), found.group())
