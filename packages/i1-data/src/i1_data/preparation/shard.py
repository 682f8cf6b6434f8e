"""One unit of work: a run of records of the source becomes one shard and one row of the manifest."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from i1_hooks import UserError

from i1_data import images
from i1_data.buckets import nearest_bucket
from i1_data.preparation.settings import Preparation
from i1_data.reading import keeps, read_record
from i1_data.sources import Record, Source
from i1_data.sources.array_record import open_reader
from i1_data.sources.features import record_from_example, record_to_example

DIGEST = "source_digest"
"""The field of a prepared record that says what it was made from."""

_WRITER_OPTIONS = "group_size:1,uncompressed"
_SAVE: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True, "quality": 100, "method": 4},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


@dataclass
class Row:
    """What is known about a shard once it is written.

    Attributes:
        shard: name of the file.
        read: records of the source that it was made from.
        records: records in it.
        enlarged: pictures that were smaller than what they became.
        dropped: how many records each filter removed, by its place and name.
        unreadable: key and reason of records that could not be read.
        sizes: how many pictures have each size, as `height x width`.
        digest: of everything that it was made from.
        sha256: of the file.
    """

    shard: str
    read: int = 0
    records: int = 0
    enlarged: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    unreadable: list[list[str]] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns the row as JSON holds it."""
        return {
            **vars(self),
            "dropped": dict(sorted(self.dropped.items())),
            "sizes": dict(sorted(self.sizes.items())),
        }


def write_shard(settings: Preparation, source: Source, records: range, path: Path, old: Path | None) -> Row:
    """Prepares a run of records into a file that appears whole or not at all.

    Args:
        settings: what to do.
        source: the opened source.
        records: which of its records.
        path: the file.
        old: an earlier file whose pictures are used again where nothing changed.

    Raises:
        UserError: for a record that cannot be read, where the source is strict, and a file that cannot be
            written.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    row = Row(shard=path.name)
    known = {} if old is None else _read_known(old)
    digest = hashlib.sha256()
    part = path.with_name(f".i1-{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        writer = ArrayRecordWriter(str(part), _WRITER_OPTIONS)
        for index in records:
            prepared = _prepare(settings, source, index, row, digest, known)
            if prepared is not None:
                writer.write(record_to_example(prepared))
        writer.close()
        row.digest, row.sha256 = digest.hexdigest(), _sync(part)
        part.replace(path)
    except (OSError, RuntimeError) as error:
        raise UserError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return row


def digest_records(settings: Preparation, source: Source, records: range) -> str:
    """Returns the digest of a run of records as `write_shard` notes it, without preparing anything."""
    digest = hashlib.sha256()
    for index in records:
        try:
            record = read_record(settings.source, source, index)
            digest.update(_note(record, _digest(record)))
        except UserError as error:
            digest.update(str(error).encode())
    return digest.hexdigest()


def _prepare(
    settings: Preparation,
    source: Source,
    index: int,
    row: Row,
    digest: Any,
    known: dict[str, Record],
) -> Record | None:
    row.read += 1
    key = f"record {index}"
    try:
        record = read_record(settings.source, source, index)
        key = record["key"]
        made_from = _digest(record)
        digest.update(_note(record, made_from))
        for number, keeper in enumerate(settings.filters):
            if not keeps(keeper, record):
                row.dropped[f"{number} {type(keeper).__name__}"] += 1
                return None
        same = known.get(made_from)
        height, width = images.upright_size(record["image"], name=key)
        size = (settings.resolution,) * 2
        if settings.buckets:
            size = settings.buckets[nearest_bucket(settings.buckets, height, width)]
        image = same["image"] if same is not None else _encode(settings, record, size)
    except UserError as error:
        if settings.source.strict:
            raise UserError(
                f"{settings.source}: {error}; set strict=false to leave such records out"
            ) from error
        row.unreadable.append([key, str(error)])
        if key == f"record {index}":
            digest.update(str(error).encode())
        return None
    row.records += 1
    row.enlarged += height < size[0] or width < size[1]
    row.sizes[f"{size[0]}x{size[1]}"] += 1
    others: Any = {name: value for name, value in record.items() if name not in (DIGEST, "image/shape")}
    return cast("Record", {**others, "image": image, "image/shape": [*size, 3], DIGEST: made_from})


def _encode(settings: Preparation, record: Record, size: tuple[int, ...]) -> bytes:
    decoded = images.decode(record["image"], name=record["key"], background=settings.background)
    pixels = images.fill_and_crop(decoded, *size)
    file = io.BytesIO()
    pixels.save(file, **_SAVE[settings.storage])
    return file.getvalue()


def _digest(record: Record) -> str:
    """Returns a digest of a record's picture; captions and other fields do not change the picture."""
    image = record["image"]
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    return hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()


def _note(record: Record, picture: str) -> bytes:
    """Returns what a prepared record was made from: the digest of its picture, and its other fields."""
    others = {name: value for name, value in record.items() if name != "image"}
    return f"{picture} {sorted(others.items())!r}\n".encode("utf-8", "backslashreplace")


def _read_known(path: Path) -> dict[str, Record]:
    try:
        payloads = open_reader(path).read_all()
    except (UserError, RuntimeError):
        return {}
    found: dict[str, Record] = {}
    for payload in payloads:
        record: Any = record_from_example(
            payload, path.name, image="image", caption="caption", key="image_name"
        )
        found[record[DIGEST][0].decode()] = record
    return found


def _sync(path: Path) -> str:
    """Writes a file through to disk and returns its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest
