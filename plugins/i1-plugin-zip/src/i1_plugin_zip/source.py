"""The source `zip`: captioned images inside a ZIP archive."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from i1_data.sources import Record, SourceConfig
from i1_hooks import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MANIFEST = "metadata.jsonl"


@dataclass(frozen=True, kw_only=True)
class ZipSource(SourceConfig):
    """Reads the PNG, JPEG and WebP files of an archive, in the order of their names.

    Captions stand in a text file of the same stem beside each image, one per line, or in a `metadata.jsonl`
    of the image's folder or of one above it, with an object per line that has `file_name`, relative to the
    manifest, and `text`, a string or a list of strings.

    Attributes:
        path: the archive.
    """

    path: str

    def build(self) -> ZipImages:
        """Reads the archive's directory and its captions; images are read when they are asked for.

        Raises:
            UserError: for a file that is missing or no archive, an archive without images, an image without a
                caption, or a broken manifest.
        """
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise UserError(f"zip: no file {self.path!r}; create it or correct `path`")
        try:
            archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise UserError(f"zip: {self.path!r} is not a ZIP archive: {error}") from error
        names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
        images = [name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES]
        if not images:
            raise UserError(f"zip: {self.path!r} holds no images ({', '.join(SUFFIXES)})")
        captions: dict[str, list[str]] = {name: [] for name in images}
        for name in names:
            if PurePosixPath(name).name == MANIFEST:
                _read_manifest(archive, name, captions)
        texts = set(names)
        for name, found in captions.items():
            text = str(PurePosixPath(name).with_suffix(".txt"))
            if text in texts:
                found += [line.strip() for line in _read(archive, text).splitlines() if line.strip()]
            if not found:
                raise UserError(
                    f"zip: image {name!r} of {self.path!r} has no caption; "
                    f"add {text!r} or name it in {MANIFEST}"
                )
        return ZipImages(archive, list(captions.items()))


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
        try:
            image = self._archive.read(name)
        except zipfile.BadZipFile as error:
            raise UserError(f"zip: {name!r} of {self._archive.filename!r} is damaged: {error}") from error
        return {"image": image, "captions": list(captions), "key": name}


def _read(archive: zipfile.ZipFile, name: str) -> str:
    try:
        return archive.read(name).decode("utf-8")
    except (UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise UserError(f"zip: {name!r} of {archive.filename!r} cannot be read: {error}") from error


def _read_manifest(archive: zipfile.ZipFile, manifest: str, captions: dict[str, list[str]]) -> None:
    """Adds the captions of one manifest to those of its images."""
    folder = PurePosixPath(manifest).parent
    for number, line in enumerate(_read(archive, manifest).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"zip: line {number} of {manifest!r} in {archive.filename!r}"
        try:
            row = json.loads(line)
            image, text = str(folder / row["file_name"]), row["text"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(
                f'{where}: expected {{"file_name": ..., "text": ...}}, got {line[:80]!r}'
            ) from error
        texts = [text] if isinstance(text, str) else text
        if not isinstance(texts, list) or not all(isinstance(caption, str) for caption in texts):
            raise UserError(f"{where}: text must be a string or a list of strings, got {text!r}")
        if image not in captions:
            raise UserError(f"{where}: the archive holds no image {image!r}")
        captions[image] += [caption.strip() for caption in texts if caption.strip()]
