"""The source `image_folder`: image files with captions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from i1_hooks import UserError

from i1_data.sources.base import Record, SourceConfig
from i1_data.sources.manifest import read_manifest

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MANIFESTS = ("metadata.jsonl", "captions.jsonl")


@dataclass(frozen=True, kw_only=True)
class ImageFolderSource(SourceConfig):
    """Reads PNG, JPEG and WebP files of a folder and its subfolders, in the order of their paths.

    Captions stand either in a text file of the same stem beside each image (`cat.png`, `cat.txt`), one
    caption per line, or in `metadata.jsonl` / `captions.jsonl` files in the manner of Hugging Face image
    folders: one object per line with `file_name`, relative to the manifest's folder, and `text`, `caption` or
    `captions`.

    Attributes:
        root: the folder.
        missing_captions: what an image without any caption means: `"error"`, or `"empty"`, a record with no
            captions.
    """

    root: str
    missing_captions: Literal["error", "empty"] = "error"

    def build(self) -> ImageFiles:
        """Lists the folder; image files are opened when they are read.

        Raises:
            UserError: for a folder that is missing or holds no images, a caption without its image, and an
                image without captions unless allowed.
        """
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise UserError(f"image_folder: no folder {self.root!r}; create it or correct `root`")
        files = sorted(path for path in root.rglob("*") if path.is_file())
        images = [path for path in files if path.suffix.lower() in SUFFIXES]
        if not images:
            raise UserError(
                f"image_folder: {self.root!r} holds no images ({', '.join(SUFFIXES)}), subfolders included"
            )
        captions: dict[Path, list[str]] = {path: [] for path in images}
        manifests = [path for path in files if path.name in MANIFESTS]
        for manifest in manifests:
            for image, found in read_manifest(manifest).items():
                captions.setdefault(image, []).extend(found)
        if not manifests:
            _read_text_files(files, captions)
        bare = [path for path, found in captions.items() if not found]
        if bare and self.missing_captions == "error":
            raise UserError(
                f"image_folder: {len(bare)} of {len(captions)} images in {self.root!r} have no caption, "
                f"first {bare[0]}; write {bare[0].with_suffix('.txt').name} or a metadata.jsonl, "
                "or set missing_captions='empty'"
            )
        return ImageFiles(sorted(captions.items()), root)


def _read_text_files(files: Sequence[Path], captions: dict[Path, list[str]]) -> None:
    by_stem: dict[Path, list[Path]] = {}
    for image in captions:
        by_stem.setdefault(image.with_suffix(""), []).append(image)
    for path in files:
        if path.suffix.lower() == ".txt":
            images = by_stem.get(path.with_suffix(""))
            if images is None:
                raise UserError(
                    f"image_folder: caption file {path} has no image of the same stem; add it or remove it"
                )
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
            for image in images:
                captions[image].extend(line for line in lines if line)


class ImageFiles:
    """Captioned image files; a record's image is the bytes of its file.

    Args:
        items: path and captions of every image.
        root: keys are paths relative to this folder where they lie in it.
    """

    def __init__(self, items: Sequence[tuple[Path, list[str]]], root: Path) -> None:
        self._items = list(items)
        self._root = root

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        path, captions = self._items[index]
        try:
            image = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read image {path}: {error.strerror}") from error
        key = path.relative_to(self._root) if path.is_relative_to(self._root) else path
        return {"image": image, "captions": list(captions), "key": key.as_posix()}
