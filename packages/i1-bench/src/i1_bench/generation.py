"""Where the pictures of a benchmark come from: a model of i1-sample."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from i1_hooks import UserError, to_dict

from i1_bench.benchmarks import Request

DEFAULT_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A picture that could not be made this time.

    Attributes:
        request: what was asked for.
        reason: why it failed.
    """

    request: Request
    reason: str


class Generator(ABC):
    """A source of pictures that can say exactly what it is."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns what the pictures depend on besides prompts, seed and noise, JSON-ready."""

    @abstractmethod
    def generate(self, requests: Sequence[Request], seed: int) -> Iterator[np.ndarray | Failed]:
        """Yields one picture per request, in order, uint8 (height, width, 3), or why there is none."""


class PipelineGenerator(Generator):
    """Pictures by `i1_sample.Pipeline`.

    Args:
        model: a model folder, a workdir or a registered name.
        steps: of the solver; None is the model's default.
        guidance_scale: None is the model's default.
        batch_size: pictures at a time; changes speed and memory alone.

    Raises:
        UserError: when i1-sample is not installed, or there is no such model.
    """

    def __init__(
        self,
        model: str,
        *,
        steps: int | None = None,
        guidance_scale: float | None = None,
        batch_size: int = DEFAULT_BATCH,
    ) -> None:
        try:
            import i1_sample  # noqa: F401 (its absence is the user's to mend, that of its parts is not)
        except ModuleNotFoundError as error:
            if error.name != "i1_sample":
                raise
            raise UserError(
                "generating pictures needs i1-sample: pip install i1-bench[sample], "
                "or score existing pictures with --images FOLDER"
            ) from error
        from i1_sample.loading import locate_model  # pyright: ignore[reportPrivateImportUsage]
        from i1_sample.pipeline import Pipeline

        self._model = {"name": model, "sha256": _digest(locate_model(model)[0])}
        self._pipeline = Pipeline.from_pretrained(model)
        self._settings: dict[str, Any] = {"num_inference_steps": steps, "guidance_scale": guidance_scale}
        self._batch_size = batch_size

    def describe(self) -> dict[str, Any]:
        """Returns the model's name and digest, and the complete sampling settings."""
        job = self._pipeline.plan("a circle", **self._settings)
        return {"model": self._model, "sampling": to_dict(job.settings)}

    def generate(self, requests: Sequence[Request], seed: int) -> Iterator[np.ndarray | Failed]:
        """Yields one picture per request; neighbours in noise share a batch."""
        for batch in _batches(requests, self._batch_size):
            output = self._pipeline(
                [request.prompt.text for request in batch],
                seed=seed,
                first_index=batch[0].noise,
                batch_size=self._batch_size,
                output_type="np",
                **self._settings,
            )
            yield from np.asarray(output.images)


def _batches(requests: Sequence[Request], size: int) -> Iterator[list[Request]]:
    batch: list[Request] = []
    for request in requests:
        if batch and (len(batch) == size or request.noise != batch[-1].noise + 1):
            yield batch
            batch = []
        batch.append(request)
    if batch:
        yield batch


def _digest(model: Path) -> str:
    digest = hashlib.sha256()
    files = [model] if model.is_file() else model.rglob("*")
    for path in sorted(p for p in files if p == model or p.suffix in (".json", ".safetensors", ".pt")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
