"""The source `image_folder`: image files with captions beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from i1_hooks import UserError
from i1_hooks.files import user_path

from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.captions import read_lines
from i1_data.sources.faults import Faults, printable
from i1_data.sources.folders import list_files
from i1_data.sources.pairing import SUFFIXES, DiskFinder, MissingCaptions, pair_captions


@dataclass(frozen=True, kw_only=True)
class ImageFolderSource(SourceConfig):
    """Reads the image files of a folder and its subfolders, in the order of their paths.

    Captions stand either in a text file of the same stem beside each image (`cat.png`, `cat.txt`), one
    caption per line, or in `metadata.jsonl` / `captions.jsonl` files in the manner of Hugging Face image
    folders: one object per line with `file_name`, relative to the manifest's folder, and `text`, `caption` or
    `captions`. Each folder may have its own way; an image that a manifest names has the manifest's captions.

    Hidden and system files are passed over and counted, as are workdirs of runs inside the folder. Linked
    folders are followed, each once.

    Attributes:
        root: the folder.
        missing_captions: what an image without any caption means: `"error"`, or `"empty"`, a record with no
            captions.
    """

    root: str
    missing_captions: MissingCaptions = "error"

    def build(self) -> ImageFiles:
        """Lists the folder; image files are opened when they are read.

        Raises:
            UserError: for a folder that is missing, holds no images or is the output of i1, and, unless
                `strict` is false, a caption without its image, an image without captions (unless allowed),
                and what cannot be read.
        """
        root = user_path(self.root)
        if not root.is_dir():
            raise UserError(f"image_folder: no folder {self.root!r}; create it or correct `root`")
        faults = Faults(f"image_folder {printable(self.root)!r}", strict=self.strict)
        files = list_files(root, faults).files
        captions = pair_captions(
            files,
            read_lines=lambda name: read_lines(root / name),
            read=lambda name: read_file(root / name),
            finder=DiskFinder(root),
            faults=faults,
            shown=lambda name: printable(str(root / name)),
        )
        if not captions.of:
            faults.conclude()
            raise UserError(
                f"image_folder: {self.root!r} holds no images ({', '.join(SUFFIXES)}), subfolders included"
            )
        captions.require(
            self.missing_captions,
            "write {stem}.txt or a metadata.jsonl, set missing_captions='empty'",
        )
        faults.conclude()
        return ImageFiles(
            dict(sorted(captions.of.items(), key=lambda item: PurePosixPath(item[0]).parts)), root
        )


class ImageFiles:
    """Captioned image files; a record's image is the bytes of its file, its key the path.

    Args:
        captions: those of every image, by path.
        root: what the paths are relative to.
    """

    def __init__(self, captions: Mapping[str, list[str]], root: Path) -> None:
        self._items = list(captions.items())
        self._root = root

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        name, captions = self._items[index]
        return {
            "image": read_file(self._root / name, "image"),
            "captions": list(captions),
            "key": printable(name),
        }


def read_file(path: Path, what: str = "file") -> bytes:
    """Returns the bytes of a file.

    Raises:
        UserError: naming a file that cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {what} {printable(str(path))}: {error.strerror}") from error
