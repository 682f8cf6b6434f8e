"""The source `webdataset`: tar files with images and captions of one stem."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from i1_hooks import UserError

from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.image_folder import SUFFIXES
from i1_data.sources.manifest import CAPTION_COLUMNS, row_captions


@dataclass(frozen=True, kw_only=True)
class WebdatasetSource(SourceConfig):
    """Reads one tar file, or those of a folder in the order of their names, with random access.

    Members of one stem (all before the first dot of the file name) are one record: an image (`.png`, `.jpg`,
    `.jpeg`, `.webp`), `.txt` with one caption per line, `.json` with `caption`, `text` or `captions`; other
    members are ignored. Opening reads the headers of all members; compressed archives have no random access
    and are refused.

    Attributes:
        path: the file or the folder.
    """

    path: str

    def build(self) -> TarRecords:
        """Indexes the archives.

        Raises:
            UserError: for a place that is missing, empty or damaged, and a record without an image.
        """
        path = Path(self.path).expanduser()
        if not path.exists():
            raise UserError(f"webdataset: no file or folder {self.path!r}; create it or correct `path`")
        archives = [path] if path.is_file() else sorted(path.glob("*.tar"))
        if not archives:
            raise UserError(f"webdataset: {self.path!r} holds no .tar files")
        return TarRecords([record for archive in archives for record in _index(archive)])


@dataclass
class _Members:
    """Where the parts of one record lie: offset and length of each, by suffix."""

    archive: Path
    key: str
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def image(self) -> tuple[int, int] | None:
        return next((self.parts[suffix] for suffix in SUFFIXES if suffix in self.parts), None)


def _index(archive: Path) -> list[_Members]:
    records: dict[str, _Members] = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                folder, slash, name = member.name.rpartition("/")
                stem, dot, suffix = name.partition(".")
                if member.isreg() and stem and dot:
                    key = folder + slash + stem
                    record = records.setdefault(key, _Members(archive, key))
                    record.parts["." + suffix.lower()] = (member.offset_data, member.size)
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f"webdataset: cannot read {archive} as an uncompressed tar file: {error}") from error
    for record in records.values():
        if record.image() is None:
            raise UserError(
                f"webdataset: {archive}: {record.key!r} has no image, only {', '.join(sorted(record.parts))}"
            )
    if not records:
        raise UserError(f"webdataset: {archive} holds no records")
    return list(records.values())


class TarRecords:
    """The records of a `WebdatasetSource`.

    Args:
        records: where the parts of each record lie.
    """

    def __init__(self, records: list[_Members]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        record = self._records[index]
        place = record.image()
        assert place is not None
        where = f"{record.archive}, {record.key}"
        captions: list[str] = []
        with record.archive.open("rb") as file:

            def read(offset: int, length: int) -> bytes:
                file.seek(offset)
                return file.read(length)

            image = read(*place)
            try:
                if ".txt" in record.parts:
                    lines = read(*record.parts[".txt"]).decode().splitlines()
                    captions += [line.strip() for line in lines if line.strip()]
                if ".json" in record.parts:
                    row = json.loads(read(*record.parts[".json"]))
                    captions += row_captions(row, CAPTION_COLUMNS, where) if isinstance(row, dict) else []
            except (UnicodeDecodeError, json.JSONDecodeError) as error:
                raise UserError(f"webdataset: {where}: cannot read the captions: {error}") from error
        return {"image": image, "captions": captions, "key": record.key}
