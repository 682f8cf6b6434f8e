"""Jobs: requests that finish whether or not their client stays."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from i1_server.answers import job_events, job_object
from i1_server.errors import ApiError
from i1_server.routes.images import read_image_request
from i1_server.schema import GENERATION
from i1_server.service import Service

router = APIRouter(prefix="/v1/jobs")
_MOST_LISTED = 1000


@router.post("", status_code=202, openapi_extra=GENERATION)
async def create(request: Request) -> Response:
    """Queues a job and returns it at once."""
    service: Service = request.app.state.service
    asked = await read_image_request(request)
    if asked.stream:
        raise ApiError(400, "stream does not apply to a job; read /v1/jobs/{id}/events", param="stream")
    task = await service.submit(asked, is_job=True)
    return JSONResponse(job_object(request, task), 202, {"Location": f"/v1/jobs/{task.id}"})


@router.get("")
async def listing(request: Request) -> Response:
    """Lists the jobs that are kept, the newest first; `limit` is the most of them."""
    service: Service = request.app.state.service
    limit = request.query_params.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _MOST_LISTED):
        raise ApiError(400, f"limit must be from 1 to {_MOST_LISTED}, got {limit!r:.80}", param="limit")
    jobs = service.jobs()
    data = [job_object(request, task) for task in jobs[: int(limit)]]
    return JSONResponse({"object": "list", "data": data, "has_more": len(jobs) > len(data)})


@router.get("/{name}")
async def one(request: Request, name: str) -> Response:
    """Returns a job."""
    return JSONResponse(job_object(request, request.app.state.service.find_job(name)))


@router.get("/{name}/events")
async def events(request: Request, name: str) -> Response:
    """Streams what happens to a job until it has ended."""
    task = request.app.state.service.find_job(name)
    return StreamingResponse(job_events(request, task), media_type="text/event-stream")


@router.delete("/{name}")
async def cancel(request: Request, name: str) -> Response:
    """Cancels a job that is queued or running, within one step."""
    service: Service = request.app.state.service
    task = service.find_job(name)
    if task.has_ended:
        raise ApiError(409, f"job {name} is {task.status} already", code="job_ended")
    service.cancel(task)
    return JSONResponse(job_object(request, task))
