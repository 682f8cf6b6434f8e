"""One request on its way: what it asked for, how far it is, what came out.

Everything in a task but `is_cancelled` is read and written by the event loop alone; the worker reports to the
event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

from i1_sample import Job

from i1_server.errors import ApiError
from i1_server.requests import ImageRequest

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
ENDED = ("completed", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One picture is one step further.

    Attributes:
        position: which of the request's pictures, counted from 0.
        step: steps done.
        preview: the picture as it is now, as PNG, when a preview is due.
        picture: the finished picture as PNG, at the last step.
    """

    position: int
    step: int
    preview: bytes | None = None
    picture: bytes | None = None


@dataclass(eq=False, kw_only=True)
class Task:
    """A planned request.

    Attributes:
        request: what was asked for.
        job: the same, resolved by the pipeline.
        is_job: whether it was given as a job, which finishes when its client leaves.
        id: names it in addresses; not to be guessed.
        created: seconds since 1970.
        status: where it stands.
        steps: done, for each picture.
        pictures: finished ones as PNG, for each picture.
        error: why it failed.
        is_cancelled: whether somebody asked for its end; the worker looks after every step.
        runs_alone: whether it shares no batch, because a batch with it failed.
    """

    request: ImageRequest
    job: Job
    is_job: bool
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    created: float = field(default_factory=time.time)
    status: Status = "queued"
    steps: list[int] = field(default_factory=list)
    pictures: list[bytes | None] = field(default_factory=list)
    error: ApiError | None = None
    is_cancelled: bool = False
    runs_alone: bool = False
    _listeners: set[asyncio.Queue[Progress | None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.steps = [0] * self.job.num_images
        self.pictures = [None] * self.job.num_images

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

    def listen(self) -> asyncio.Queue[Progress | None]:
        """Returns a queue that gets the finished pictures, then all that happens, and None at the end."""
        queue: asyncio.Queue[Progress | None] = asyncio.Queue()
        for position, picture in enumerate(self.pictures):
            if picture is not None:
                queue.put_nowait(Progress(position=position, step=self.steps[position], picture=picture))
        if self.has_ended:
            queue.put_nowait(None)
        else:
            self._listeners.add(queue)
        return queue

    def ignore(self, queue: asyncio.Queue[Progress | None]) -> None:
        """Stops filling a queue of `listen`."""
        self._listeners.discard(queue)

    def advance(self, progress: Progress) -> None:
        """Notes what the worker reports, and completes the task with its last picture."""
        if self.has_ended:
            return
        self.status = "running"
        self.steps[progress.position] = progress.step
        if progress.picture is not None:
            self.pictures[progress.position] = progress.picture
        self._tell(progress)
        if all(picture is not None for picture in self.pictures):
            self.end("completed")

    def end(self, status: Status, error: ApiError | None = None) -> None:
        """Ends the task, unless it has ended."""
        if not self.has_ended:
            self.status, self.error = status, error
            self._tell(None)
            self._listeners.clear()

    def _tell(self, progress: Progress | None) -> None:
        for queue in self._listeners:
            queue.put_nowait(progress)

    def previews_at(self) -> frozenset[int]:
        """Returns the steps after which a preview is due: spread evenly, the last step left out."""
        wanted, num_steps = self.request.partial_images, self.job.settings.num_inference_steps
        return frozenset(round(num_steps * (k + 1) / (wanted + 1)) for k in range(wanted)) - {0, num_steps}
