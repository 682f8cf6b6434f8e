"""Where the pictures of a benchmark come from: a model of i1-sample."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from i1_hooks import UserError, to_dict

from i1_bench.benchmarks import Request

if TYPE_CHECKING:
    from i1_sample.options import LoadOptions, SampleOptions

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
        model: what `i1_sample.options.LoadOptions.model` takes, or the whole record.
        options: how pictures are made; None leaves everything to the model. Its seed and its numbers of
            pictures are those of the run.

    Raises:
        UserError: when i1-sample is not installed, or there is no such model.
    """

    def __init__(self, model: str | LoadOptions, options: SampleOptions | None = None) -> None:
        require_i1_sample()
        from i1_sample.loading import locate_model  # pyright: ignore[reportPrivateImportUsage]
        from i1_sample.options import LoadOptions, SampleOptions
        from i1_sample.pipeline import Pipeline

        loading = LoadOptions(model=model) if isinstance(model, str) else model
        path = locate_model(loading.model, loading.resolution, loading.revision)[0]
        self._model: dict[str, Any] = {"name": loading.model, "sha256": _digest(path)}
        defaults = LoadOptions(model=loading.model)
        for name in ("resolution", "text_encoder", "vae", "dtype", "loras"):
            value = getattr(loading, name)
            if value != getattr(defaults, name):
                self._model[name] = [str(lora) for lora in value] if name == "loras" else value
        self._pipeline = Pipeline.load(loading)
        options = options or SampleOptions()
        self._batch_size = options.batch_size or DEFAULT_BATCH
        self._options = dataclasses.replace(options, batch_size=self._batch_size)

    def describe(self) -> dict[str, Any]:
        """Returns the model's name and digest, and the complete sampling settings."""
        job = self._pipeline.plan("a circle", self._options)
        found = to_dict(job.settings)
        if self._options.rewriter is not None:
            rewriter = self._options.rewriter
            found["rewriter"] = rewriter if isinstance(rewriter, str | Mapping) else to_dict(rewriter)
        side = self._pipeline.config.resolution
        if (job.height, job.width) != (side, side):
            found |= {"height": job.height, "width": job.width}
        return {"model": self._model, "sampling": found}

    def evaluations(self) -> int:
        """Returns how often the network is evaluated for one picture."""
        settings = self._pipeline.plan("a circle", self._options).settings
        return settings.num_inference_steps * settings.solver.num_evaluations * (1 + settings.is_guided)

    def generate(self, requests: Sequence[Request], seed: int) -> Iterator[np.ndarray | Failed]:
        """Yields one picture per request; neighbours in noise share a batch."""
        for batch in _batches(requests, self._batch_size):
            options = dataclasses.replace(
                self._options, seed=seed, first_index=batch[0].noise, num_images_per_prompt=1
            )
            job = self._pipeline.plan([request.prompt.text for request in batch], options)
            for event in self._pipeline.run(job):
                if event.is_last:
                    yield from event.images()


def require_i1_sample() -> None:
    """Raises a `UserError` that says how to install i1-sample, when it is not there."""
    try:
        import i1_sample  # noqa: F401 (the user can install it; a missing part of it is a bug)
    except ModuleNotFoundError as error:
        if error.name != "i1_sample":
            raise
        raise UserError(
            "generating pictures needs i1-sample: pip install i1-bench[sample], "
            "or score existing pictures with --images FOLDER"
        ) from error


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
