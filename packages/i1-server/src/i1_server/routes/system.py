"""What is served, and how the server is."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from i1_server.requests import find_model
from i1_server.service import Service

router = APIRouter()


@router.get("/v1/models")
async def models(request: Request) -> Response:
    """Lists the models that are served."""
    service: Service = request.app.state.service
    return JSONResponse({"object": "list", "data": [_model(service, name) for name in service.pipelines]})


@router.get("/v1/models/{name:path}")
async def model(request: Request, name: str) -> Response:
    """Returns one model."""
    service: Service = request.app.state.service
    return JSONResponse(_model(service, find_model(name, list(service.pipelines))))


@router.get("/healthz")
async def health(request: Request) -> Response:
    """Says whether requests are taken: 200, or 503 when the server stops or has lost its worker."""
    service: Service = request.app.state.service
    told = {"status": "ok" if service.is_healthy else "unavailable", "queued": service.worker.num_waiting}
    return JSONResponse(told, 200 if service.is_healthy else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Returns counters for Prometheus."""
    service: Service = request.app.state.service
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _model(service: Service, name: str) -> dict[str, object]:
    pipeline = service.pipelines[name]
    defaults = pipeline.defaults
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "i1",
        "resolution": pipeline.config.resolution,
        "largest_side": service.limits.largest_side or 2 * pipeline.config.resolution,
        "num_inference_steps": defaults.num_inference_steps,
        "guidance_scale": defaults.guidance_scale,
    }
