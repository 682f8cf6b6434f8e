"""Pictures from an OpenAI-compatible images endpoint."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from i1_hooks import UserError
from PIL import Image, UnidentifiedImageError

from i1_bench.benchmarks import Request
from i1_bench.engines.http import Endpoint, key_from
from i1_bench.generation import Failed, Generator
from i1_bench.judges import JudgeError

KEY_VARIABLE = "OPENAI_API_KEY"
_CONCURRENCY = 8


class EndpointGenerator(Generator):
    """Pictures by `POST {url}/images/generations`, one call each.

    The noise of a picture is sent as `seed`, which servers may ignore.

    Args:
        url: address up to and with `/v1`.
        model: its name there.
        size: width and height, as `1024x1024`.
        retries: further tries of a call that failed in a way that may pass.
        backoff: seconds before the first of them, doubled each time.

    Raises:
        UserError: without a model, or for a size of another form.
    """

    def __init__(
        self, url: str, model: str, size: str = "1024x1024", *, retries: int = 5, backoff: float = 1.0
    ) -> None:
        if not model:
            raise UserError("no --endpoint-model: name the model that the endpoint serves")
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", size):
            raise UserError(f"--size {size}: expected WIDTHxHEIGHT, as 1024x1024")
        self._model, self._size = model, size
        self._endpoint = Endpoint(url=url, key=key_from(KEY_VARIABLE), retries=retries, backoff=backoff)

    def describe(self) -> dict[str, Any]:
        """Returns the model and the size."""
        return {"model": {"name": self._model}, "sampling": {"size": self._size}}

    def generate(self, requests: Sequence[Request], seed: int) -> Iterator[np.ndarray | Failed]:
        """Yields one picture per request, or why there is none."""
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            for start in range(0, len(requests), _CONCURRENCY):
                batch = requests[start : start + _CONCURRENCY]
                yield from pool.map(lambda request: self._one(request, seed), batch)

    def _one(self, request: Request, seed: int) -> np.ndarray | Failed:
        body = {
            "model": self._model,
            "prompt": request.prompt.text,
            "n": 1,
            "size": self._size,
            "response_format": "b64_json",
            "seed": (seed * 1_000_003 + request.noise) % 2**31,
        }
        try:
            answer = self._endpoint.post("images/generations", body)
            with Image.open(
                io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"], validate=True))
            ) as picture:
                return np.asarray(picture.convert("RGB"))
        except JudgeError as failure:
            return Failed(request=request, reason=f"{request.path}: {failure}")
        except (TypeError, KeyError, IndexError, binascii.Error, OSError, UnidentifiedImageError) as error:
            return Failed(
                request=request, reason=f"{request.path}: the endpoint sent no picture ({error!r:.100})"
            )
