"""The stage that makes the pictures which are not there yet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from i1_hooks import UserError
from i1_hooks.files import write_atomically
from PIL import Image

from i1_bench.benchmarks import Request
from i1_bench.generation import Failed, Generator
from i1_bench.stages.judge import Progress
from i1_bench.stages.pictures import missing


def generate_run(
    generator: Generator,
    requests: Sequence[Request],
    seed: int,
    folder: Path,
    *,
    progress: Progress | None = None,
) -> list[Failed]:
    """Makes the pictures of a run that an earlier call has not made.

    Args:
        generator: makes them.
        requests: all pictures of the run.
        seed: of the noise.
        folder: of the pictures.
        progress: told how many of the missing pictures are done.

    Returns:
        the pictures that failed; the next call tries them again.

    Raises:
        UserError: when a picture cannot be written.
    """
    wanted = missing(folder, requests)
    failures = []
    for done, (request, made) in enumerate(zip(wanted, generator.generate(wanted, seed), strict=True), 1):
        if isinstance(made, Failed):
            failures.append(made)
        else:
            path = folder / request.path
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"cannot make {path.parent}: {error.strerror}") from error
            file = io.BytesIO()
            Image.fromarray(made).save(file, format="PNG")
            write_atomically(path, file.getvalue())
        if progress is not None:
            progress(done, len(wanted))
    return failures
