"""The page: one file without outside assets, which a strict content security policy confines."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from i1_server.schema import describe_request

router = APIRouter()
_HTML = importlib.resources.files("i1_server").joinpath("page", "index.html").read_text(encoding="utf-8")


def content_security_policy(html: str) -> str:
    """Returns the policy that lets a page run its own script and style, and talk to its own server alone."""
    rules = ["default-src 'none'", "img-src 'self' data:", "connect-src 'self'"]
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
        rules.append(" ".join([name, *(f"'sha256-{digest}'" for digest in digests)]))
    return "; ".join([*rules, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])


_HEADERS = {
    "Content-Security-Policy": content_security_policy(_HTML),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
}


@router.get("/", response_class=Response)
async def page(_request: Request) -> Response:
    """Returns the page."""
    return Response(_HTML, headers=_HEADERS, media_type="text/html")


@router.get("/v1/schema")
async def schema(_request: Request) -> Response:
    """Returns the options of a request as `i1 schema` describes them."""
    return JSONResponse({"sample": describe_request()})
