"""The source `jsonl`: a manifest that names image files anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from i1_hooks import UserError
from i1_hooks.files import user_path

from i1_data.sources.base import SourceConfig
from i1_data.sources.captions import read_lines
from i1_data.sources.faults import Faults, printable
from i1_data.sources.image_folder import ImageFiles
from i1_data.sources.pairing import Captions, DiskFinder, MissingCaptions


@dataclass(frozen=True, kw_only=True)
class JsonlSource(SourceConfig):
    """Reads the images that a manifest lists, in its order.

    One JSON object per line: the image file under `image`, `image_path` or `file_name`, absolute or relative
    to the manifest's folder, and captions under `caption`, `text` or `captions`; other columns are ignored.
    Lines that name one file, however they write its path, are one record.

    Attributes:
        manifest: the file.
        missing_captions: what an image without any caption means: `"error"`, or `"empty"`, a record with no
            captions.
    """

    manifest: str
    missing_captions: MissingCaptions = "error"

    def build(self) -> ImageFiles:
        """Reads the manifest; image files are opened when they are read.

        Raises:
            UserError: for a manifest that is missing or empty, and, unless `strict` is false, for a malformed
                line, a missing image, and an image without captions unless allowed.
        """
        path = user_path(self.manifest)
        if not path.is_file():
            raise UserError(f"jsonl: no file {self.manifest!r}; create it or correct `manifest`")
        faults = Faults(f"jsonl {printable(self.manifest)!r}", strict=self.strict)
        captions = Captions(faults)
        captions.add_manifest(printable(str(path)), read_lines(path), "", DiskFinder(path.parent))
        captions.require(self.missing_captions, "add captions, set missing_captions='empty'")
        faults.conclude()
        if not captions.of:
            raise UserError(f"jsonl: {self.manifest!r} lists no images")
        return ImageFiles(captions.of, path.parent)
