"""The source `zip`: captioned images inside a ZIP archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from i1_data.sources import Record, SourceConfig
from i1_data.sources.faults import Faults, printable
from i1_data.sources.folders import is_system_path
from i1_data.sources.pairing import SUFFIXES, ListFinder, MissingCaptions, pair_captions
from i1_hooks import UserError
from i1_hooks.files import decode_text, split_lines, user_path

LARGEST_MEMBER = 2**30
"""Bytes that a file in the archive may have, once it is inflated."""


@dataclass(frozen=True, kw_only=True)
class ZipSource(SourceConfig):
    """Reads the image files of an archive, in the order of their names.

    Captions stand in a text file of the same stem beside each image, one per line, or in a `metadata.jsonl`
    of the image's folder or of one above it, as in an image folder. Hidden and system files are passed over.

    Attributes:
        path: the archive.
        missing_captions: what an image without any caption means: `"error"`, or `"empty"`, a record with no
            captions.
    """

    path: str
    missing_captions: MissingCaptions = "error"

    def build(self) -> ZipImages:
        """Reads the archive's directory and its captions; images are read when they are asked for.

        Raises:
            UserError: for a file that is missing or not an archive, an archive without images, and, unless
                `strict` is false, for what does not fit together and members that cannot be read.
        """
        path = user_path(self.path)
        if not path.is_file():
            raise UserError(f"zip: no file {self.path!r}; create it or correct `path`")
        try:
            archive = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise UserError(f"zip: {self.path!r} is not a ZIP archive: {error}; fetch it again") from error
        faults = Faults(f"zip {printable(self.path)!r}", strict=self.strict)
        names = _names(archive, faults)
        captions = pair_captions(
            names,
            read_lines=lambda name: split_lines(decode_text(_read(archive, name), name)),
            read=lambda name: _read(archive, name),
            finder=ListFinder(names),
            faults=faults,
        )
        if not captions.of:
            faults.conclude()
            raise UserError(f"zip: {self.path!r} holds no images ({', '.join(SUFFIXES)})")
        captions.require(self.missing_captions, "add {stem}.txt, or name it in a metadata.jsonl")
        faults.conclude()
        items = sorted(captions.of.items(), key=lambda item: PurePosixPath(item[0]).parts)
        return ZipImages(archive, items)


def _names(archive: zipfile.ZipFile, faults: Faults) -> list[str]:
    found: dict[str, None] = {}
    for info in archive.infolist():
        if info.is_dir() or is_system_path(info.filename):
            continue
        if info.filename in found:
            faults.add("members of one name", f"two members are called {info.filename!r}; keep one")
        found[info.filename] = None
    return list(found)


class ZipImages:
    """Captioned images of an open archive; several threads may read at once.

    Args:
        archive: the open archive.
        items: name and captions of every image.
    """

    def __init__(self, archive: zipfile.ZipFile, items: Sequence[tuple[str, list[str]]]) -> None:
        self._archive = archive
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        name, captions = self._items[index]
        return {"image": _read(self._archive, name), "captions": list(captions), "key": printable(name)}


# What the module raises for damaged archives, encrypted members and unknown ways to pack.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, OverflowError),
    *(RuntimeError, NotImplementedError, IndexError, MemoryError),
)


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    where = f"zip: {name!r} of {archive.filename!r}"
    try:
        if archive.getinfo(name).file_size > LARGEST_MEMBER:
            raise UserError(f"{where} is larger than {LARGEST_MEMBER // 2**30} GiB; store it outside")
        return archive.read(name)
    except UserError:
        raise
    except _DAMAGE as error:
        raise UserError(f"{where} cannot be read: {error}; pack it again") from error
