"""All tasks of a server, and what is kept of them; used by the event loop alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import anyio
import anyio.to_thread
from i1_hooks import UserError
from i1_sample import Job, Pipeline

from i1_server.errors import ApiError
from i1_server.limits import Limits
from i1_server.metrics import Metrics
from i1_server.requests import ImageRequest, check_size, check_steps, refused
from i1_server.tasks import Progress, Task
from i1_server.worker import Worker

_LOG = logging.getLogger(__name__)
_PLANNERS = 4
"""Requests that are planned at a time."""
_LAST_STEP_SECONDS = 10.0
"""Time that the worker has to notice that its last batch was cancelled."""


class Service:
    """Plans, queues, follows and keeps requests.

    Args:
        pipelines: models by the name that requests use; the first is the default.
        limits: what may be asked for.
    """

    def __init__(self, pipelines: Mapping[str, Pipeline], limits: Limits) -> None:
        self.pipelines = pipelines
        self.limits = limits
        self.metrics = Metrics()
        self.is_stopping = False
        self.worker = Worker(pipelines, limits, self.metrics, self._report)
        self.metrics.queued.set_function(lambda: self.worker.num_waiting)
        self._tasks: dict[str, Task] = {}
        self._planners = anyio.CapacityLimiter(_PLANNERS)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Starts the worker; called by the event loop that serves."""
        self._loop = asyncio.get_running_loop()
        self.worker.start()

    @property
    def is_healthy(self) -> bool:
        """Whether requests are taken and the worker lives."""
        return self.worker.is_alive() and not self.is_stopping

    async def submit(self, request: ImageRequest, *, is_job: bool) -> Task:
        """Plans a request and queues it.

        Raises:
            ApiError: for options that the model refuses, a full queue, or a server that stops.
        """
        self._check_running()
        job = await self._plan(request)
        self._check_running()
        task = Task(request=request, job=job, is_job=is_job)
        self.worker.submit(task)
        self._tasks[task.id] = task
        return task

    async def _plan(self, request: ImageRequest) -> Job:
        pipeline, options = self.pipelines[request.model], request.options
        resolution = pipeline.config.resolution
        check_size(options.height or resolution, options.width or resolution, resolution, self.limits)
        try:
            job = await anyio.to_thread.run_sync(
                lambda: pipeline.plan(request.prompt, options), limiter=self._planners
            )
        except UserError as error:
            raise refused(error) from error
        check_steps(job.settings.num_inference_steps, self.limits)
        return job

    def _check_running(self) -> None:
        if not self.is_healthy:
            why = "is stopping" if self.is_stopping else "lost its worker"
            raise ApiError(503, f"the server {why}; try again later", code="stopping", retry_after=5)

    def find_job(self, name: str) -> Task:
        """Returns a job that is kept.

        Raises:
            ApiError: when there is none of this id.
        """
        task = self._tasks.get(name)
        if task is None or not task.is_job:
            raise ApiError(404, f"there is no job {name!r:.80}; perhaps it was removed", code="job_not_found")
        return task

    def jobs(self) -> list[Task]:
        """Returns the jobs that are kept, the newest first."""
        return [task for task in reversed(self._tasks.values()) if task.is_job]

    def find_picture(self, name: str, position: int) -> bytes:
        """Returns a finished picture that is kept.

        Raises:
            ApiError: when there is none.
        """
        task = self._tasks.get(name)
        picture = None
        if task is not None and 0 <= position < len(task.pictures):
            picture = task.pictures[position]
        if picture is None:
            raise ApiError(404, "there is no such picture; perhaps it was removed", code="picture_not_found")
        return picture

    def cancel(self, task: Task) -> None:
        """Ends a task that is queued or running, within one step."""
        self.worker.withdraw(task)
        self._end(task, "cancelled")

    def forget(self, task: Task) -> None:
        """Drops a task whose answer was sent."""
        self._tasks.pop(task.id, None)

    async def stop(self) -> None:
        """Waits for running work, then ends what is left and says so."""
        self.begin_stopping()
        with anyio.move_on_after(self.limits.stop_seconds):
            while self.worker.is_alive():
                await asyncio.sleep(0.02)
            await asyncio.sleep(0)  # lets the last reports arrive
        for task in list(self._tasks.values()):
            if not task.has_ended:
                done, num_steps = max(task.steps), task.job.settings.num_inference_steps
                _LOG.warning("stopped %s at step %d of %d", task.id, done, num_steps)
                self.worker.withdraw(task)
                message = f"the server stopped at step {done} of {num_steps}; ask again"
                self._end(task, "failed", ApiError(503, message, code="stopping"))
        await anyio.to_thread.run_sync(self.worker.join, _LAST_STEP_SECONDS)

    def begin_stopping_soon(self) -> None:
        """Calls `begin_stopping` on the event loop; for signal handlers."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.begin_stopping)

    def begin_stopping(self) -> None:
        """Refuses new requests, ends those that have not begun, and lets the others finish."""
        self.is_stopping = True
        self.worker.stop()
        for task in list(self._tasks.values()):
            if task.status == "queued":
                self.worker.withdraw(task)
                message = "the server is stopping and did not begin this request; ask again"
                self._end(task, "failed", ApiError(503, message, code="stopping", retry_after=5))

    def _report(self, task: Task, news: Progress | ApiError) -> None:
        """Hands what the worker reports to the event loop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._apply, task, news)

    def _apply(self, task: Task, news: Progress | ApiError) -> None:
        if isinstance(news, ApiError):
            self._end(task, "failed", news)
        elif not task.has_ended:
            if news.picture is not None:
                self.metrics.pictures.labels(task.request.model).inc()
            task.advance(news)
            if task.has_ended:
                self.metrics.tasks.labels(task.status).inc()
                self._remove_old()

    def _end(self, task: Task, status: str, error: ApiError | None = None) -> None:
        if not task.has_ended:
            task.end("failed" if status == "failed" else "cancelled", error)
            self.metrics.tasks.labels(status).inc()
            self._remove_old()

    def _remove_old(self) -> None:
        """Removes the oldest finished tasks beyond the limits."""
        ended = [task for task in self._tasks.values() if task.has_ended]
        kept_bytes = sum(len(picture) for task in ended for picture in task.pictures if picture)
        for count, task in enumerate(ended[:-1]):
            if len(ended) - count <= self.limits.kept_jobs and kept_bytes <= self.limits.kept_bytes:
                return
            kept_bytes -= sum(len(picture) for picture in task.pictures if picture)
            self.forget(task)
