"""Where the pictures of one command go: names that are free, and never over another file."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from i1_hooks import UserError
from i1_hooks.files import bounded_name, user_path, write_atomically

_SUFFIX = ".png"


@dataclass(frozen=True)
class Outputs:
    """The names of a command's pictures.

    Attributes:
        folder: where they go.
        names: the candidates for each picture, in order of preference; the first free one is taken.
    """

    folder: Path
    names: tuple[Callable[[], Iterator[str]], ...]

    def write(self, position: int, data: bytes) -> Path:
        """Writes a picture under its first free name, created exclusively.

        Args:
            position: which of the pictures.
            data: the PNG.

        Returns:
            The path.

        Raises:
            UserError: when the file cannot be written.
        """
        for name in self.names[position]():
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                return write_atomically(self.folder / name, data, overwrite=False)
            except FileExistsError:
                continue
            except UserError as error:
                raise UserError(f"{error}; choose another --output") from error
            except OSError as error:
                reason = error.strerror or error
                raise UserError(
                    f"cannot make the folder {self.folder}: {reason}; choose another --output"
                ) from error
        raise AssertionError("candidates never end")


def plan_outputs(output: str | None, prompts: Sequence[str], num_images_per_prompt: int) -> Outputs:
    """Decides what pictures are called, and checks that their folder can be written.

    Args:
        output: `F.png` for one picture, numbered `F-0.png`, ... for several; a folder that exists, a name
            that ends in a slash or a name without a suffix is a folder, filled with `00000.png`, ..., after
            the numbers that are in it; `None` names files after the prompts in the current folder. A name
            that is taken gets a number: nothing is ever written over another file.
        prompts: one or more.
        num_images_per_prompt: pictures of each.

    Raises:
        UserError: for a folder that cannot be made or written, or a file name of another format.
    """
    num_images = len(prompts) * num_images_per_prompt
    if output is None:
        folder = Path()
        names = [_numbered(_stem(prompt)) for prompt in prompts for _ in range(num_images_per_prompt)]
    else:
        path = user_path(output)
        if output.endswith(("/", os.sep)) or _is_folder(path) or not path.suffix:
            folder, first = path, _first_free(path)
            names = [_counted(first + index) for index in range(num_images)]
        elif path.suffix.lower() != _SUFFIX:
            raise UserError(
                f"--output {output}: pictures are written as PNG; give a name that ends in .png, or in a "
                "slash for a folder"
            )
        else:
            folder, digits = path.parent, len(str(num_images - 1))
            stems = (
                [path.stem] if num_images == 1 else [f"{path.stem}-{i:0{digits}d}" for i in range(num_images)]
            )
            names = [_numbered(stem, path.suffix) for stem in stems]
    _check_folder(folder)
    return Outputs(folder, tuple(names))


def _numbered(stem: str, suffix: str = _SUFFIX) -> Callable[[], Iterator[str]]:
    """Returns the candidates `stem`, `stem-1`, `stem-2`, ..., each short enough for a file name."""

    def candidates() -> Iterator[str]:
        yield bounded_name(stem, suffix)
        for number in itertools.count(1):
            yield bounded_name(stem, f"-{number}{suffix}")

    return candidates


def _counted(first: int) -> Callable[[], Iterator[str]]:
    """Returns the candidates `00007.png`, `00008.png`, ... from a number on."""
    return lambda: (f"{number:05d}{_SUFFIX}" for number in itertools.count(first))


def _first_free(folder: Path) -> int:
    """Returns the number after the largest one that names a picture in a folder, 0 without any."""
    try:
        taken = [
            int(path.stem) for path in folder.glob(f"*{_SUFFIX}") if re.fullmatch(r"[0-9]{5,9}", path.stem)
        ]
    except OSError:  # reported when the folder is checked
        return 0
    return max(taken, default=-1) + 1


def _stem(prompt: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60].strip("-") or "picture"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long is no folder yet
        return False


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot make the output folder {folder}: {reason}; choose another --output"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write into the folder {folder}: permission denied; choose another --output")
