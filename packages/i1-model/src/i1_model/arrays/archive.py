"""Zip archives; damage of any kind becomes an error of one line."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn

import numpy as np
from i1_hooks import UserError
from i1_hooks.text import one_line

from i1_model.arrays import reading

LARGEST_RATIO = 100
"""An archive may expand to this many times its size, or to `SMALL_BYTES` if that is more."""
SMALL_BYTES = 2**28
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    ArithmeticError,
)
"""What `zipfile` raises for damaged archives, such as ValueError for a name that is not text."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REST = 2**20
_END, _END_BYTES = b"PK\x05\x06", 22
"""Signature and size, without its comment, of the record that ends every zip archive."""


class Archive:
    """An open zip archive; entries are read on request, each with its checksum verified.

    Args:
        path: the file.

    Raises:
        UserError: when it cannot be read, is not a whole zip archive, has two entries of the same name, or
            expands to far more than any checkpoint does.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.reading():
            self._zip = zipfile.ZipFile(self.path)
        try:
            self._check()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self._zip.close()

    @property
    def names(self) -> frozenset[str]:
        """The entries."""
        return frozenset(self._zip.NameToInfo)

    def size(self, name: str) -> int:
        """Returns the size of an entry in bytes."""
        return self._zip.getinfo(name).file_size

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Converts every error of a damaged archive into a `UserError`.

        Raises:
            UserError: naming the file.
        """
        try:
            yield
        except UserError:
            raise
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror or one_line(error)}") from error
        except _DAMAGE as error:
            self.damaged(error)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Opens an entry at its start; errors inside the `with` block are those of `reading`."""
        with self.reading(), self._zip.open(name) as file:
            yield file

    def fill(self, name: str, stored: np.dtype, out: np.ndarray, *, skip: int = 0) -> None:
        """Reads an array from an entry, whose checksum is verified.

        Args:
            name: the entry.
            stored: the dtype in the entry.
            out: the array to fill, in C order and its own dtype.
            skip: bytes of the entry before the array.

        Raises:
            UserError: when the bytes are damaged or too few.
        """
        with self.open(name) as file:
            file.read(skip)
            if not reading.fill(file, stored, out):
                self.damaged(f"entry {name} is too short")
            while file.read(_REST):
                pass

    def read(self, name: str, limit: int) -> bytes:
        """Returns an entry's bytes.

        Raises:
            UserError: when there is no such entry, it is larger than `limit`, or its bytes are damaged.
        """
        if name not in self.names:
            raise UserError(f"{self.path} lacks its entry {name}: download or copy it again")
        if self.size(name) > limit:
            self.damaged(f"entry {name} has {self.size(name):,} bytes, more than {limit:,}")
        with self.open(name) as file:
            return file.read()

    def damaged(self, error: BaseException | str) -> NoReturn:
        """Raises the UserError of a damaged file."""
        raise UserError(
            f"{self.path} is truncated, corrupted or not a checkpoint ({one_line(error)}): "
            "download or copy it again"
        ) from (error if isinstance(error, BaseException) else None)

    def _check(self) -> None:
        entries = self._zip.infolist()
        if len(entries) != len(self._zip.NameToInfo):
            self.damaged("two entries have the same name")
        for entry in entries:
            if entry.compress_type not in _METHODS:
                self.damaged(f"entry {entry.filename} is neither stored nor deflated")
        expanded, size = sum(entry.file_size for entry in entries), self.path.stat().st_size
        if expanded > max(SMALL_BYTES, LARGEST_RATIO * size):
            self.damaged(f"it expands from {size:,} to {expanded:,} bytes")
        if not self._ends_with_directory():
            self.damaged("bytes follow its end")

    def _ends_with_directory(self) -> bool:
        with self.reading(), self.path.open("rb") as file:
            file.seek(-_END_BYTES - len(self._zip.comment), os.SEEK_END)
            return file.read(len(_END)) == _END
