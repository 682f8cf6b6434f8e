"""The application: routes, errors in one shape, the service's life."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from i1_server.errors import ApiError
from i1_server.guard import Guard, error_answer
from i1_server.routes import images, jobs, page, system
from i1_server.service import Service


def make_app(service: Service, keys: Collection[str] = ()) -> FastAPI:
    """Returns the ASGI application of a service.

    Args:
        service: started and stopped with the application.
        keys: any of them opens the server; empty asks for none.
    """

    @asynccontextmanager
    async def live(_app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(title="i1", lifespan=live, docs_url=None, redoc_url=None)
    app.state.service = service
    for room in (images, jobs, page, system):
        app.include_router(room.router)
    app.add_exception_handler(ApiError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_refusal)
    app.add_middleware(Guard, keys=keys, metrics=service.metrics)
    return app


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_answer(error)


async def _answer_refusal(request: Request, error: Exception) -> Response:
    """Puts the framework's own refusals, such as an unknown address, into OpenAI's shape."""
    assert isinstance(error, HTTPException)
    what = {404: "there is nothing at", 405: f"{request.method} does not apply to"}
    message = f"{what.get(error.status_code, error.detail)} {request.url.path[:200]!r}"
    answer = error_answer(ApiError(error.status_code, message))
    answer.headers.update(error.headers or {})
    return answer
