"""Pairing images with captions: by manifests, and by text files of the same stem."""

from __future__ import annotations

import functools
import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from i1_hooks import UserError
from i1_hooks.files import decode_text

from i1_data.sources.captions import MANIFESTS, caption_lines, parse_row
from i1_data.sources.faults import Faults, printable

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".gif"),
    *(".bmp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".tga", ".qoi"),
)
"""The ends of image files' names, in small letters."""

MissingCaptions = Literal["error", "empty"]


def suffix(name: str) -> str:
    """Returns the end of a file name from its last dot on, in small letters."""
    return posixpath.splitext(name)[1].lower()


def normal(name: str) -> str:
    """Returns a name in the one form of Unicode that all ways to write it share."""
    return unicodedata.normalize("NFC", name)


class Finder(Protocol):
    """Finds the image that a manifest names."""

    def find(self, folder: str, name: str) -> str | None:
        """Returns the image's name, or `None` where there is none.

        Args:
            folder: that of the manifest.
            name: as the manifest writes it, relative to the folder.
        """
        ...


class ListFinder:
    """Finds images in a list of names, such as those of an archive."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._normal = {normal(name): name for name in sorted(self._names, reverse=True)}

    def find(self, folder: str, name: str) -> str | None:
        """Returns the name in the list, however it is spelled in Unicode."""
        for written in (name, name.replace("\\", "/")):
            joined = posixpath.normpath(posixpath.join(folder, written))
            if joined in self._names:
                return joined
            if normal(joined) in self._normal:
                return self._normal[normal(joined)]
        return None


class DiskFinder:
    """Finds image files, in a folder and elsewhere.

    Args:
        root: names are relative to this folder where the file lies in it, and absolute elsewhere.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 (Path has nothing that leaves links alone)
        self._names_in = functools.lru_cache(maxsize=1024)(_names_in)

    def find(self, folder: str, name: str) -> str | None:
        """Returns the path of an existing file, however it is spelled in Unicode."""
        for written in (name, name.replace("\\", "/")):
            path = os.path.normpath(os.path.join(self._root, folder, written))  # noqa: PTH118
            found = path if os.path.isfile(path) else self._other_spelling(path)  # noqa: PTH113
            if found is not None:
                inside = found.startswith(self._root.rstrip("/") + "/")
                return found[len(self._root.rstrip("/")) + 1 :] if inside else found
        return None

    def _other_spelling(self, path: str) -> str | None:
        folder, name = os.path.split(path)
        other = self._names_in(folder).get(normal(name))
        return None if other is None else posixpath.join(folder, other)


def _names_in(folder: str) -> dict[str, str]:
    try:
        return {
            normal(entry.name): entry.name
            for entry in os.scandir(folder)
            if not entry.name.isascii() and entry.is_file()
        }
    except OSError:
        return {}


@dataclass
class Captions:
    """The captions of images, gathered from manifests and text files.

    Attributes:
        faults: takes what does not fit together.
        of: the captions of each image, by name.
    """

    faults: Faults
    of: dict[str, list[str]] = field(default_factory=dict)

    def add_manifest(self, where: str, lines: Iterable[str], folder: str, finder: Finder) -> set[str]:
        """Adds the captions of a manifest; several lines that name one image add up.

        Args:
            where: the manifest, for messages.
            lines: its lines; empty ones are skipped.
            folder: that of the manifest.
            finder: finds the images that it names.

        Returns:
            The images that it names.
        """
        named: set[str] = set()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = parse_row(line, f"{where}:{number}")
            except UserError as error:
                self.faults.add("bad lines", f"{error}; correct the line")
                continue
            image = finder.find(folder, row.image)
            if image is None:
                self.faults.add(
                    "lines without their image",
                    f"{row.where}: no image {printable(posixpath.join(folder, row.image))}; "
                    "correct the line or add the file",
                )
                continue
            self.of.setdefault(image, []).extend(row.captions)
            named.add(image)
        return named

    def require(self, missing: MissingCaptions, fix: str) -> None:
        """Notes images without captions as faults and leaves them out, unless they are allowed.

        Args:
            missing: `"error"`, or `"empty"` for records with no captions.
            fix: how a caption is added; `{stem}` stands for the name without its suffix.
        """
        bare = [name for name, captions in self.of.items() if not captions]
        if missing == "empty" or not bare:
            return
        for name in bare:
            stem = printable(posixpath.splitext(posixpath.basename(name))[0])
            self.faults.add(
                f"of {len(self.of)} images without a caption",
                f"image {printable(name)} has no caption; {fix.format(stem=stem)}",
            )
        for name in bare:
            del self.of[name]


def pair_captions(
    files: Sequence[str],
    *,
    read_lines: Callable[[str], Iterable[str]],
    read: Callable[[str], bytes],
    finder: Finder,
    faults: Faults,
    shown: Callable[[str], str] = printable,
) -> Captions:
    """Finds the captions of the images among some files.

    An image that a manifest names has the manifest's captions, any other those of the text files of its stem
    in its folder, one per line. In the folder of a manifest, and where one names images, other text files are
    passed over; elsewhere a text file without an image is a fault.

    Args:
        files: names with slashes.
        read_lines: returns the lines of a manifest.
        read: returns the bytes of a text file.
        finder: finds the images that manifests name.
        faults: takes what does not fit together and cannot be read.
        shown: how messages call a file.
    """
    captions = Captions(faults, {name: [] for name in files if suffix(name) in SUFFIXES})
    named: set[str] = set()
    listed_folders: set[str] = set()
    for manifest in files:
        if posixpath.basename(manifest).lower() in MANIFESTS:
            folder = posixpath.dirname(manifest)
            listed_folders.add(folder)
            try:
                named |= captions.add_manifest(shown(manifest), read_lines(manifest), folder, finder)
            except UserError as error:
                faults.add("unreadable manifests", f"{error}")
    listed_folders |= {posixpath.dirname(name) for name in named}
    by_stem: dict[str, list[str]] = {}
    for name in captions.of:
        by_stem.setdefault(normal(posixpath.splitext(name)[0]), []).append(name)
    for name in files:
        if suffix(name) == ".txt":
            _add_text_file(name, captions, by_stem, named, listed_folders, files, read, shown)
    return captions


def _add_text_file(
    name: str,
    captions: Captions,
    by_stem: dict[str, list[str]],
    named: set[str],
    listed_folders: set[str],
    files: Sequence[str],
    read: Callable[[str], bytes],
    shown: Callable[[str], str],
) -> None:
    stem = posixpath.splitext(name)[0]
    images = by_stem.get(normal(stem), [])
    exact = [image for image in images if posixpath.splitext(image)[0] == stem]
    if not images:
        if posixpath.dirname(name) not in listed_folders:
            captions.faults.add(
                "captions without an image",
                f"caption file {shown(name)} has no image of the same stem{_others(stem, files)}; "
                "add the image or remove the caption",
            )
        return
    wanting = [image for image in exact or images if image not in named]
    try:
        lines = caption_lines(decode_text(read(name), shown(name))) if wanting else []
    except UserError as error:
        captions.faults.add("unreadable captions", str(error))
        return
    for image in wanting:
        captions.of[image].extend(lines)


def _others(stem: str, files: Sequence[str]) -> str:
    others = sorted({suffix(name) for name in files if posixpath.splitext(name)[0] == stem} - {".txt"})
    return f", only {', '.join(others)}, which is not read" if others else ""
