"""Finding and reading the pictures of a run, in the layouts that exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from i1_hooks import UserError
from PIL import Image, UnidentifiedImageError

from i1_bench.benchmarks import Place, Request
from i1_bench.judges import JudgeError, Picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Folder:
    """A folder of pictures.

    Attributes:
        root: its path.
        requests: the pictures it should hold.
    """

    root: Path
    requests: tuple[Request, ...]

    @cached_property
    def _files(self) -> dict[str, str]:
        """The name of each picture file by its name without suffix, relative to the root."""
        if not self.root.is_dir():
            raise UserError(f"{self.root}: no such folder of pictures")
        found: dict[str, str] = {}
        for path in sorted(self.root.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                relative = path.relative_to(self.root).as_posix()
                found.setdefault(relative[: -len(path.suffix)], relative)
        return found

    @cached_property
    def is_published(self) -> bool:
        """Whether more pictures lie where the published evaluation expects them than where we write them."""
        written = sum(self._file(Place(path=request.path)) is not None for request in self.requests)
        published = {request.published.path for request in self.requests if request.published}
        found = sum(self._file(Place(path=path)) is not None for path in published)
        tiles = len(published) and len({r.path for r in self.requests if r.published}) / len(published)
        return found * tiles > written

    def _file(self, place: Place) -> str | None:
        return self._files.get(str(place.path.with_suffix("")))

    def file(self, request: Request) -> Path:
        """Returns the file of a picture that is there."""
        name = self._file(self.place(request))
        assert name is not None
        return self.root / name

    def place(self, request: Request) -> Place:
        """Returns where this folder has a picture, or would have it."""
        if self.is_published and request.published is not None:
            return request.published
        return Place(path=request.path)

    @cached_property
    def unexpected(self) -> list[str]:
        """Picture files that belong to no request."""
        expected = {str(self.place(request).path.with_suffix("")) for request in self.requests}
        return [name for stem, name in self._files.items() if stem not in expected]

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """The most frequent width and height of the files, or None when there is none."""
        sizes: Counter[tuple[int, int]] = Counter()
        for name in {self._file(self.place(request)) for request in self.requests} - {None}:
            assert name is not None
            try:
                with Image.open(self.root / name) as picture:
                    sizes[picture.size] += 1
            except (OSError, UnidentifiedImageError):
                continue
        return sizes.most_common(1)[0][0] if sizes else None

    def read(self, request: Request) -> Picture:
        """Reads one picture.

        Raises:
            JudgeError: naming the file, when it is missing, unreadable or of another size than the others.
        """
        place = self.place(request)
        name = self._file(place)
        if name is None:
            raise JudgeError(f"no picture {self.root / place.path}")
        path = self.root / name
        try:
            with Image.open(path) as opened:
                is_rgb = opened.mode == "RGB"
                pixels = np.asarray(opened.convert("RGB"))
        except (
            OSError,
            UnidentifiedImageError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
        ) as error:
            raise JudgeError(f"{path} is not a readable picture ({error})") from error
        size = (pixels.shape[1], pixels.shape[0])
        if size != self.size:
            assert self.size is not None
            raise JudgeError(
                f"{path} has {size[0]}x{size[1]} pixels, the others {self.size[0]}x{self.size[1]}"
            )
        if place.tile is None:
            return Picture(pixels=pixels, file=path if is_rgb else None)
        return Picture(pixels=_tile(pixels, place.tile, path))


def _tile(grid: np.ndarray, tile: int, path: Path) -> np.ndarray:
    height, width = grid.shape[0] // 2, grid.shape[1] // 2
    if grid.shape[0] % 2 or grid.shape[1] % 2:
        raise JudgeError(f"{path} has {grid.shape[1]}x{grid.shape[0]} pixels: not a grid of two by two")
    row, column = divmod(tile, 2)
    return grid[row * height : (row + 1) * height, column * width : (column + 1) * width].copy()


def missing(root: Path, requests: Sequence[Request]) -> list[Request]:
    """Returns the requests without a file at `Request.path`, in order of noise."""
    absent = [request for request in requests if not (root / PurePosixPath(request.path)).exists()]
    return sorted(absent, key=lambda request: request.noise)
