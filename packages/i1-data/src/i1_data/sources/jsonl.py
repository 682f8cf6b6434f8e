"""The source `jsonl`: a manifest that names image files anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from i1_hooks import UserError

from i1_data.sources.base import SourceConfig
from i1_data.sources.image_folder import ImageFiles
from i1_data.sources.manifest import read_manifest


@dataclass(frozen=True, kw_only=True)
class JsonlSource(SourceConfig):
    """Reads the images that a manifest lists, in its order.

    One JSON object per line: the image file under `image`, `image_path` or `file_name`, absolute or relative
    to the manifest's folder, and captions under `caption`, `text` or `captions`; other columns are ignored.

    Attributes:
        manifest: the file.
        missing_captions: what an image without any caption means: `"error"`, or `"empty"`, a record with no
            captions.
    """

    manifest: str
    missing_captions: Literal["error", "empty"] = "error"

    def build(self) -> ImageFiles:
        """Reads the manifest; image files are opened when they are read.

        Raises:
            UserError: for a manifest that is missing or empty, a malformed line, a missing image, and an
                image without captions unless allowed.
        """
        path = Path(self.manifest).expanduser()
        if not path.is_file():
            raise UserError(f"jsonl: no file {self.manifest!r}; create it or correct `manifest`")
        items = list(read_manifest(path).items())
        if not items:
            raise UserError(f"jsonl: {self.manifest!r} lists no images")
        bare = [image for image, captions in items if not captions]
        if bare and self.missing_captions == "error":
            raise UserError(
                f"jsonl: {len(bare)} of {len(items)} images of {self.manifest!r} have no caption, "
                f"first {bare[0]}; add captions, or set missing_captions='empty'"
            )
        return ImageFiles(items, path.parent)
