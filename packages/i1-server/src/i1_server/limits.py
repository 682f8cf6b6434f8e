"""What one request, and all of them together, may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on requests and on what the server keeps.

    Attributes:
        largest_side: pixels of a picture's side; None is twice the resolution of the model.
        most_steps: solver steps of one picture.
        most_images: pictures of one request.
        most_previews: previews of one picture.
        prompt_characters: length of a prompt and of a negative prompt.
        queued_images: pictures that wait for the device.
        batch_size: pictures that are made at a time, a power of two.
        body_bytes: size of a request's body.
        body_seconds: time that a client has to send its body.
        json_depth: nesting of lists and objects in a body.
        kept_jobs: finished jobs that can still be asked for.
        kept_bytes: size of all pictures that can still be downloaded.
        stop_seconds: time that running work has to finish once the server is told to stop.
    """

    largest_side: int | None = None
    most_steps: int = 1000
    most_images: int = 10
    most_previews: int = 16
    prompt_characters: int = 32_000
    queued_images: int = 256
    batch_size: int = 8
    body_bytes: int = 2**20
    body_seconds: float = 30.0
    json_depth: int = 32
    kept_jobs: int = 1000
    kept_bytes: int = 2**28
    stop_seconds: float = 30.0
