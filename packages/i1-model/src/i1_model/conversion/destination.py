"""New files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from i1_hooks import UserError

_ROOM_LEFT = 2**20
"""Bytes for everything besides the arrays."""


@contextmanager
def new_place(path: Path, num_bytes: int) -> Iterator[Path]:
    """Yields a temporary path next to a new file or folder, renamed to it at the end of the `with` block.

    Args:
        path: the new file or folder; it must not exist, or be an empty folder.
        num_bytes: about how many bytes will be written.

    Raises:
        UserError: when the path exists, the disk is full, or it cannot be written; nothing is left behind.
    """
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    if path.exists():
        raise UserError(f"{path} exists already: choose another destination, or remove it")
    part = path.parent / f".i1-{os.urandom(8).hex()}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if num_bytes + _ROOM_LEFT > free:
            raise UserError(
                f"no room for {path}: it takes {num_bytes / 1e9:.2f} GB, {free / 1e9:.2f} GB are free"
            )
        yield part
        for folder in (part, *(inside for inside in part.rglob("*"))):
            if folder.is_dir():
                _sync(folder)
        part.rename(path)
        _sync(path.parent)
    except OSError as error:
        reason = "no room left on the disk" if error.errno == errno.ENOSPC else error.strerror or error
        raise UserError(f"cannot write {path}: {reason}") from error
    finally:
        _remove(part)


def write_file(path: Path, data: str | Callable[[BinaryIO], None]) -> None:
    """Writes a file inside a `new_place` and syncs it to disk."""
    with path.open("wb") as file:
        if callable(data):
            data(file)
        else:
            file.write(data.encode())
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without such a call
            raise
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
