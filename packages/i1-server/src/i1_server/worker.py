"""The thread that owns the device: a bounded queue of pictures, made in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from i1_hooks import UserError
from i1_sample import Pipeline, StepEvent
from i1_sample.png import describe, png_bytes
from PIL import Image

from i1_server.batches import Unit, merge, take_batch
from i1_server.errors import ApiError
from i1_server.limits import Limits
from i1_server.metrics import Metrics
from i1_server.requests import refused
from i1_server.tasks import Progress, Task

_LOG = logging.getLogger(__name__)
Report = Callable[[Task, Progress | ApiError], None]
"""Told of every step of every picture, and of an error that ends a task."""


class Worker(threading.Thread):
    """Makes pictures, batch after batch.

    Args:
        pipelines: models by the name that requests use.
        limits: of the queue and of a batch.
        metrics: counts batches and steps.
        report: called from this thread.
    """

    def __init__(
        self, pipelines: Mapping[str, Pipeline], limits: Limits, metrics: Metrics, report: Report
    ) -> None:
        super().__init__(name="i1-device", daemon=True)
        self._pipelines = pipelines
        self._limits = limits
        self._metrics = metrics
        self._report = report
        self._waiting: list[Unit] = []
        self._changed = threading.Condition()
        self._is_stopping = False
        self._batch_seconds = 1.0

    @property
    def num_waiting(self) -> int:
        """Pictures that wait for the device."""
        return len(self._waiting)

    def submit(self, task: Task) -> None:
        """Queues the pictures of a task.

        Raises:
            ApiError: when the queue has no room for them.
        """
        with self._changed:
            if len(self._waiting) + task.job.num_images > self._limits.queued_images:
                batches = len(self._waiting) / self._limits.batch_size
                raise ApiError(
                    429,
                    f"{len(self._waiting)} pictures wait already, at most {self._limits.queued_images} may; "
                    "try again later",
                    code="queue_full",
                    retry_after=max(1, min(600, round(batches * self._batch_seconds))),
                )
            self._waiting += [Unit(task, position) for position in range(task.job.num_images)]
            self._changed.notify()

    def withdraw(self, task: Task) -> None:
        """Takes a task out of the queue; a batch with nothing else left to make stops after its step."""
        task.is_cancelled = True
        with self._changed:
            self._waiting = [unit for unit in self._waiting if unit.task is not task]

    def stop(self) -> None:
        """Lets the thread end once nothing waits."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Makes batches until `stop` is called."""
        while units := self._next_batch():
            try:
                self._make(units)
            except Exception as error:  # a request that fails must not end the server
                self._fail({unit.task: None for unit in units}, error)

    def _next_batch(self) -> list[Unit]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_stopping)
            if not self._waiting:
                return []
            units = take_batch(self._waiting, self._limits.batch_size)
            taken = set(map(id, units))
            self._waiting = [unit for unit in self._waiting if id(unit) not in taken]
            return units

    def _make(self, units: list[Unit]) -> None:
        pipeline = self._pipelines[units[0].task.request.model]
        self._metrics.batch_size.observe(len(units))
        begin = before = time.monotonic()
        for event in pipeline.run(merge(pipeline, units)):
            event.padded_latents.block_until_ready()  # else all steps are queued on the device at once
            now = time.monotonic()
            self._metrics.step_seconds.observe(now - before)
            before = now
            if all(unit.task.is_cancelled for unit in units):
                return
            self._report_step(pipeline, units, event)
        self._batch_seconds = time.monotonic() - begin

    def _report_step(self, pipeline: Pipeline, units: list[Unit], event: StepEvent) -> None:
        shown = {
            place
            for place, unit in enumerate(units)
            if event.is_last or event.step in unit.task.previews_at()
        }
        pixels = event.images() if shown else None
        for place, unit in enumerate(units):
            picture = preview = None
            if unit.task.is_cancelled:
                continue
            if pixels is not None and place in shown:
                record = describe(pipeline, unit.task.job, unit.position)
                if not event.is_last:
                    record["steps_done"] = event.step
                data = png_bytes(Image.fromarray(pixels[place]), record)
                picture, preview = (data, None) if event.is_last else (None, data)
            progress = Progress(position=unit.position, step=event.step, preview=preview, picture=picture)
            self._report(unit.task, progress)

    def _fail(self, tasks: dict[Task, None], error: Exception) -> None:
        """Ends the one task of a batch, or lets each task of a batch try again alone."""
        if len(tasks) > 1:
            for task in tasks:
                task.runs_alone = True
            again = [
                Unit(task, position)
                for task in tasks
                if not task.is_cancelled
                for position in range(task.job.num_images)
            ]
            with self._changed:
                kept = [unit for unit in self._waiting if unit.task not in tasks]
                self._waiting = [*again, *kept]
            return
        if isinstance(error, UserError):
            answer = refused(error)
        else:
            _LOG.error("a batch failed", exc_info=error)
            answer = ApiError(500, f"the picture could not be made: {type(error).__name__}", code="internal")
        for task in tasks:
            self.withdraw(task)
            self._report(task, answer)
