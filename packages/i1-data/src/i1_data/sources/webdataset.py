"""The source `webdataset`: tar files with images and captions of one stem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from i1_hooks import UserError
from i1_hooks.files import decode_text, parse_json, user_path

from i1_data.records.tar import Member, list_members
from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.captions import CAPTION_COLUMNS, caption_lines, row_captions
from i1_data.sources.faults import Faults, printable
from i1_data.sources.folders import is_system_path, list_files
from i1_data.sources.pairing import SUFFIXES, suffix


@dataclass(frozen=True, kw_only=True)
class WebdatasetSource(SourceConfig):
    """Reads one tar file, or those of a folder and its subfolders in the order of their paths.

    Members of one stem (all before the first dot of the file name) are one record: an image, `.txt` with one
    caption per line, `.json` with `caption`, `text` or `captions`; other members are ignored, hidden and
    system files too. A key that several archives use is preceded by the archive's name. Opening reads
    the headers of all members. Compressed archives have no random access and are refused.

    Attributes:
        path: the file or the folder.
    """

    path: str

    def build(self) -> TarRecords:
        """Indexes the archives.

        Raises:
            UserError: for a place that is missing or empty, and, unless `strict` is false, for a damaged
                archive, a record without an image or with several, and members of one name.
        """
        path = user_path(self.path)
        if not path.exists():
            raise UserError(f"webdataset: no file or folder {self.path!r}; create it or correct `path`")
        faults = Faults(f"webdataset {printable(self.path)!r}", strict=self.strict)
        archives = {path.name: path} if path.is_file() else _archives(path, faults)
        if not archives:
            faults.conclude()
            raise UserError(f"webdataset: {self.path!r} holds no .tar files")
        records = [record for name, archive in archives.items() for record in _index(name, archive, faults)]
        faults.conclude()
        if not records:
            raise UserError(f"webdataset: {self.path!r} holds no records")
        return TarRecords(_with_unique_keys(records))


def _archives(folder: Path, faults: Faults) -> dict[str, Path]:
    files = list_files(folder, faults).files
    return {printable(name): folder / name for name in files if suffix(name) == ".tar"}


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """Where the parts of one record lie in their archive."""

    name: str
    archive: Path
    key: str
    image: Member
    parts: Mapping[str, Member]


def _index(archive_name: str, archive: Path, faults: Faults) -> list[_Entry]:
    where = printable(str(archive))
    parts_of: dict[str, dict[str, Member]] = {}
    members, damage = list_members(archive)
    if damage:
        faults.add("damaged archives", f"cannot read {where} as an uncompressed tar file: {damage}")
    for member in members:
        folder, slash, name = member.name.rpartition("/")
        stem, dot, end = name.partition(".")
        if is_system_path(member.name) or not stem or not dot:
            continue
        key = printable(folder + slash + stem)
        end = "." + end.lower()
        if member.problem and (end in SUFFIXES or end in (".txt", ".json")):
            faults.add("unreadable members", f"{where}: {printable(member.name)!r} {member.problem}")
            continue
        parts = parts_of.setdefault(key, {})
        if end in parts:
            faults.add("members of one name", f"{where}: {key!r} has two members {end}; keep one")
        parts.setdefault(end, member)
    found: list[_Entry] = []
    for key, parts in parts_of.items():
        images = [end for end in SUFFIXES if end in parts]
        if not images:
            faults.add(
                "records without an image",
                f"{where}: {key!r} has no image, only {', '.join(sorted(parts))}; "
                f"images are {', '.join(SUFFIXES)}",
            )
            continue
        if len(images) > 1:
            faults.add(
                "second images of a record",
                f"{where}: {key!r} has {len(images)} images, {', '.join(images)}; "
                "give each image a stem of its own",
            )
        found.append(_Entry(name=archive_name, archive=archive, key=key, image=parts[images[0]], parts=parts))
    return found


def _with_unique_keys(entries: list[_Entry]) -> list[tuple[str, _Entry]]:
    """Returns entries with their keys, those that stand in several archives with the archive's name."""
    archives: dict[str, set[str]] = {}
    for entry in entries:
        archives.setdefault(entry.key, set()).add(entry.name)
    return [
        (f"{entry.name}/{entry.key}" if len(archives[entry.key]) > 1 else entry.key, entry)
        for entry in entries
    ]


class TarRecords:
    """The records of a `WebdatasetSource`.

    Args:
        entries: the key of each record, and where its parts lie.
    """

    def __init__(self, entries: list[tuple[str, _Entry]]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Record:
        key, entry = self._entries[index]
        captions: list[str] = []
        try:
            with entry.archive.open("rb") as file:

                def read(member: Member) -> bytes:
                    file.seek(member.offset)
                    return file.read(member.size)

                image = read(entry.image)
                texts = {end: read(entry.parts[end]) for end in (".txt", ".json") if end in entry.parts}
        except OSError as error:
            raise UserError(f"cannot read {printable(str(entry.archive))}: {error.strerror}") from error
        for end, data in texts.items():
            where = f"{printable(str(entry.archive))}, {entry.key}{end}"
            text = decode_text(data, where)
            if end == ".txt":
                captions += caption_lines(text)
            elif isinstance(row := parse_json(text, where), dict):
                captions += row_captions(row, CAPTION_COLUMNS, where)
            else:
                raise UserError(f"{where}: expected a JSON object, got {text.strip()[:80]}")
        return {"image": image, "captions": captions, "key": key}
