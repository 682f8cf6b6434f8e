"""Tasks as OpenAI's objects and events."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request

from i1_server.service import Service
from i1_server.tasks import Progress, Task

_BEAT_SECONDS = 15.0
"""Silence after which a comment is sent, so that nothing on the way takes a stream for dead."""


def picture_url(request: Request, task: Task, position: int) -> str:
    """Returns the address of a finished picture."""
    return str(request.url_for("picture", name=task.id, position=str(position)))


def picture_object(request: Request, task: Task, position: int, response_format: str) -> dict[str, Any]:
    """Returns OpenAI's object of one finished picture, with its seed and its index."""
    job = task.job
    told: dict[str, Any] = {"seed": job.seed, "index": job.first_index + position}
    if job.rewritten_prompts[0] != job.prompts[0]:
        told["revised_prompt"] = job.rewritten_prompts[0]
    if response_format == "url":
        return {"url": picture_url(request, task, position), **told}
    return {"b64_json": _base64(task.pictures[position] or b""), **told}


def pictures_answer(request: Request, task: Task) -> dict[str, Any]:
    """Returns OpenAI's answer to a request that is complete."""
    return {
        "created": int(task.created),
        "data": [
            picture_object(request, task, position, task.request.response_format)
            for position in range(task.job.num_images)
        ],
        "output_format": "png",
        "size": _size(task),
    }


def job_object(request: Request, task: Task) -> dict[str, Any]:
    """Returns a job as JSON data; its pictures are addresses."""
    job = task.job
    return {
        "id": task.id,
        "object": "job",
        "created": int(task.created),
        "status": task.status,
        "model": task.request.model,
        "user": task.request.user,
        "prompt": job.prompts[0],
        "negative_prompt": job.negative_prompts[0] if job.negative_prompts else None,
        "seed": job.seed,
        "n": job.num_images,
        "size": _size(task),
        "num_inference_steps": job.settings.num_inference_steps,
        "guidance_scale": job.settings.guidance_scale,
        "steps_done": task.steps,
        "error": None if task.error is None else task.error.content()["error"],
        "data": [
            picture_object(request, task, position, "url")
            for position, picture in enumerate(task.pictures)
            if picture is not None
        ],
    }


async def image_events(request: Request, service: Service, task: Task) -> AsyncIterator[str]:
    """Yields OpenAI's events of a streamed request; the request ends with its client."""
    shown = [0] * task.job.num_images
    try:
        async for progress in _listen(task):
            if progress is None:
                yield ": still at work\n\n"
                continue
            event = _image_event(request, task, progress, shown)
            if event is not None:
                yield event
        if task.error is not None:
            yield _event("error", {"type": "error", **task.error.content()})
    finally:
        service.cancel(task)
        if task.request.response_format == "b64_json":
            service.forget(task)


async def job_events(request: Request, task: Task) -> AsyncIterator[str]:
    """Yields the events of a job: steps, previews, finished pictures, and the job when it has ended."""
    shown = [0] * task.job.num_images
    yield _event("job.status", {"type": "job.status", "job": job_object(request, task)})
    async for progress in _listen(task):
        if progress is None:
            yield ": still at work\n\n"
            continue
        num_steps = task.job.settings.num_inference_steps
        step = {"index": progress.position, "step": progress.step, "num_inference_steps": num_steps}
        yield _event("job.progress", {"type": "job.progress", **step})
        event = _image_event(request, task, progress, shown)
        if event is not None:
            yield event
    yield _event("job.status", {"type": "job.status", "job": job_object(request, task)})


async def _listen(task: Task) -> AsyncIterator[Progress | None]:
    """Yields what happens to a task until its end, and None whenever nothing happens for a while."""
    queue = task.listen()
    try:
        while True:
            try:
                progress = await asyncio.wait_for(queue.get(), _BEAT_SECONDS)
            except TimeoutError:
                yield None
                continue
            if progress is None:
                return
            yield progress
    finally:
        task.ignore(queue)


def _image_event(request: Request, task: Task, progress: Progress, shown: list[int]) -> str | None:
    """Returns the event of a preview or of a finished picture, None for a step without either."""
    common = {
        "created_at": int(task.created),
        "size": _size(task),
        "quality": "auto",
        "background": "opaque",
        "output_format": "png",
        "index": progress.position,
    }
    if progress.picture is not None:
        told = picture_object(request, task, progress.position, task.request.response_format)
        return _event("image_generation.completed", {**told, **common})
    if progress.preview is None:
        return None
    common |= {"partial_image_index": shown[progress.position], "step": progress.step}
    shown[progress.position] += 1
    return _event("image_generation.partial_image", {"b64_json": _base64(progress.preview), **common})


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _size(task: Task) -> str:
    return f"{task.job.width}x{task.job.height}"
