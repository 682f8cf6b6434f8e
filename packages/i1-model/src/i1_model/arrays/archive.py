"""Zip archives whose damage is one line."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

import numpy as np
from i1_hooks import UserError

from i1_model.arrays import reading

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_REST = 2**20
_END, _END_BYTES = b"PK\x05\x06", 22
"""Signature and size, without its comment, of the record that ends every zip archive."""


class Archive:
    """An open zip archive; entries are read on request, each with its checksum verified.

    Args:
        path: the file.

    Raises:
        UserError: when it cannot be read or is not a whole zip archive.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror or error}") from error
        except _DAMAGE as error:
            self.damaged(error)
        self.names = frozenset(self._zip.namelist())
        if not self._ends_with_directory():
            self.damaged("bytes follow its end")

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

    def size(self, name: str) -> int:
        """Returns the size of an entry in bytes."""
        return self._zip.getinfo(name).file_size

    def open(self, name: str) -> IO[bytes]:
        """Opens an entry for reading from its start.

        Raises:
            UserError: when its header is damaged.
        """
        try:
            return self._zip.open(name)
        except (OSError, *_DAMAGE) as error:
            self.damaged(error)

    def fill(self, name: str, stored: np.dtype[Any], out: np.ndarray, *, skip: int = 0) -> None:
        """Reads an array from an entry, whose checksum is verified.

        Args:
            name: the entry.
            stored: dtype in it.
            out: filled in C order, in its own dtype.
            skip: bytes before the array.

        Raises:
            UserError: when the bytes are damaged or too few.
        """
        with self.open(name) as file:
            try:
                file.read(skip)
                if not reading.fill(file, stored, out):
                    self.damaged(f"entry {name} is too short")
                while file.read(_REST):
                    pass
            except (OSError, *_DAMAGE) as error:
                self.damaged(error)

    def read(self, name: str) -> bytes:
        """Returns an entry's bytes.

        Raises:
            UserError: when the archive has no such entry, or its bytes are damaged.
        """
        if name not in self.names:
            raise UserError(f"{self.path} lacks its entry {name}: download or copy it again")
        try:
            return self._zip.read(name)
        except (OSError, *_DAMAGE) as error:
            self.damaged(error)

    def _ends_with_directory(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-_END_BYTES - len(self._zip.comment), os.SEEK_END)
            return file.read(len(_END)) == _END

    def damaged(self, error: BaseException | str) -> NoReturn:
        """Raises the UserError of a damaged file."""
        raise UserError(
            f"{self.path} is truncated, corrupted or not a checkpoint ({error}): download or copy it again"
        ) from (error if isinstance(error, BaseException) else None)
