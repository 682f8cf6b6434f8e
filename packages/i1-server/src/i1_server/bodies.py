"""Reading the body of a request within limits."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.requests import ClientDisconnect, Request

from i1_server.errors import ApiError
from i1_server.limits import Limits

_TEXT_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


async def read_json_object(request: Request, limits: Limits) -> dict[str, Any]:
    """Returns the JSON object in a request's body.

    Raises:
        ApiError: for a body that is too large, too slow, nested too deeply, or not a JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"Content-Type is {kind!r}; send JSON as application/json", param="Content-Type")
    return parse_object(await read_body(request, limits), limits)


async def read_body(request: Request, limits: Limits) -> bytes:
    """Returns a request's body; reading stops at the limit.

    Raises:
        ApiError: for a body that is larger or slower than the limits allow.
    """
    too_large = ApiError(
        413, f"the body is larger than {limits.body_bytes} bytes; send less", code="body_too_large"
    )
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limits.body_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body_bytes:
                    raise too_large
    except TimeoutError as error:
        raise ApiError(408, f"the body did not arrive within {limits.body_seconds:g} s") from error
    except ClientDisconnect as error:
        raise ApiError(400, "the connection ended before the body did") from error
    return bytes(body)


def parse_object(body: bytes, limits: Limits) -> dict[str, Any]:
    """Returns the JSON object that a body holds.

    Raises:
        ApiError: for text that is not JSON, is nested too deeply, or is not an object.
    """
    depth = 0
    for found in _TEXT_OR_BRACKET.finditer(body):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found.group(), 0)
        if depth > limits.json_depth:
            raise ApiError(400, f"the body is nested deeper than {limits.json_depth} levels", code="too_deep")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise ApiError(400, f"the body is not UTF-8 at byte {error.start}", code="invalid_json") from error
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_json")
    return value


def check_text(name: str, text: str, most: int) -> None:
    """Checks the length and the characters of a text.

    Raises:
        ApiError: for a text that is too long or holds half a character.
    """
    if len(text) > most:
        raise ApiError(
            400, f"{name} has {len(text)} characters; the limit is {most}", param=name, code="too_long"
        )
    if half := _HALF_CHARACTER.search(text):
        raise ApiError(400, f"{name}: \\u{ord(half.group()):04x} is half a character", param=name)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"the field {name!r} is given twice")
        values[name] = value
    return values
