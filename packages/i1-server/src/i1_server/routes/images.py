"""OpenAI's images API: `/v1/images/generations`, and the pictures that its answers point at."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from i1_server.answers import image_events, pictures_answer
from i1_server.bodies import read_json_object
from i1_server.errors import ApiError
from i1_server.requests import ImageRequest, read_request
from i1_server.schema import GENERATION
from i1_server.service import Service
from i1_server.tasks import Task

router = APIRouter()


async def read_image_request(request: Request) -> ImageRequest:
    """Returns the request for pictures in a body.

    Raises:
        ApiError: for a body or a field that does not fit.
    """
    service: Service = request.app.state.service
    body = await read_json_object(request, service.limits)
    return read_request(body, list(service.pipelines), service.limits)


@router.post("/v1/images/generations", openapi_extra=GENERATION)
async def generate(request: Request) -> Response:
    """Makes pictures of a prompt; a client that leaves ends its request within one step."""
    service: Service = request.app.state.service
    task = await service.submit(await read_image_request(request), is_job=False)
    if task.request.stream:
        return StreamingResponse(image_events(request, service, task), media_type="text/event-stream")
    try:
        await _wait(request, task)
    finally:
        service.cancel(task)
        if task.request.response_format == "b64_json":
            service.forget(task)
    if task.error is not None:
        raise task.error
    if task.status == "cancelled":
        raise ApiError(499, "the client left")
    return JSONResponse(pictures_answer(request, task))


@router.get("/v1/images/files/{name}/{position}.png", name="picture", response_class=Response)
async def picture(request: Request, name: str, position: str) -> Response:
    """Returns a finished picture; its name is the permission."""
    service: Service = request.app.state.service
    number = int(position) if position.isascii() and position.isdigit() and len(position) < 5 else -1
    return Response(service.find_picture(name, number), media_type="image/png")


async def _wait(request: Request, task: Task) -> None:
    """Waits until a task has ended or its client has left."""
    queue = task.listen()
    left = asyncio.ensure_future(_left(request))
    try:
        while not task.has_ended and not left.done():
            news = asyncio.ensure_future(queue.get())
            await asyncio.wait({news, left}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
    finally:
        left.cancel()
        task.ignore(queue)


async def _left(request: Request) -> None:
    """Returns once the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
