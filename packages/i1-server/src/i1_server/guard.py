"""What every request passes: the key, the count, the last resort for errors."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from i1_server.errors import ApiError
from i1_server.metrics import Metrics

_LOG = logging.getLogger(__name__)
_OPEN = ("/", "/healthz")
"""Addresses without a key: the page asks for it, and probes have none."""
_OPEN_PREFIX = "/v1/images/files/"
"""Pictures, whose names cannot be guessed, so that an address works in a browser."""
_METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")


class Guard:
    """Checks the key of every request and counts every answer.

    Args:
        app: what answers.
        keys: any of them opens the server; empty asks for none.
        metrics: where answers are counted.
    """

    def __init__(self, app: ASGIApp, keys: Collection[str], metrics: Metrics) -> None:
        self._app = app
        self._keys = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "other"
        has_begun = False

        async def counted(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                self._metrics.answers.labels(method, message["status"]).inc()
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            await send(message)

        if not self._is_open(scope["path"]) and not self._has_key(Request(scope)):
            error = ApiError(
                401, "the API key is missing or wrong; send Authorization: Bearer KEY", code="invalid_api_key"
            )
            await error_answer(error)(scope, receive, counted)
            return
        try:
            await self._app(scope, receive, counted)
        except Exception as error:  # a bug of ours must neither end the server nor show itself to a client
            _LOG.error("a request failed", exc_info=error)
            if not has_begun:
                await error_answer(ApiError(500, "the server failed; see its log", code="internal"))(
                    scope, receive, counted
                )

    def _is_open(self, path: str) -> bool:
        return not self._keys or path in _OPEN or path.startswith(_OPEN_PREFIX)

    def _has_key(self, request: Request) -> bool:
        """Compares digests, all of them, so that time tells nothing of a key or its length."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
        matches = [hmac.compare_digest(digest, key) for key in self._keys]
        return scheme.lower() == "bearer" and any(matches)


def error_answer(error: ApiError) -> Response:
    """Returns the answer that an error stands for."""
    return JSONResponse(error.content(), error.status, error.headers())
