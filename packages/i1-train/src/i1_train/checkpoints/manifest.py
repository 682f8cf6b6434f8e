"""The files of one checkpoint: size and CRC-32 of each, recorded when written and compared when read."""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from pathlib import Path

from i1_hooks import UserError

MANIFEST = "manifest.json"
MANIFEST_OF = "manifest.{}.json"


class DamagedError(Exception):
    """A checkpoint differs from what was written."""


def write_manifest(folder: Path, process: int = 0, num_processes: int = 1) -> None:
    """Writes the size and CRC-32 of this process's share of the files: every `num_processes`-th file."""
    share = _files(folder)[process::num_processes]
    manifest = {str(path.relative_to(folder)): _fingerprint(path) for path in share}
    name = MANIFEST if process == 0 else MANIFEST_OF.format(process)
    with (folder / name).open("w", encoding="utf-8") as file:
        json.dump({"processes": num_processes, "files": manifest}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def verify(folder: Path, process: int = 0, num_processes: int = 1) -> None:
    """Compares this process's share of a checkpoint's files with the manifests.

    Args:
        folder: the checkpoint.
        process: number of this process.
        num_processes: number of processes that compare; it need not be the number that wrote the checkpoint.

    Raises:
        DamagedError: naming the first file that is missing, or has another size or content.
        UserError: for a file without read permission.
    """
    first = _read_manifest(folder / MANIFEST)
    files = dict(first["files"])
    for other in range(1, first.get("processes", 1)):
        files.update(_read_manifest(folder / MANIFEST_OF.format(other))["files"])
    for name, (size, checksum) in list(files.items())[process::num_processes]:
        path = folder / name
        if not path.is_file():
            raise DamagedError(f"{name} is missing")
        if path.stat().st_size != size:
            raise DamagedError(f"{name} has {path.stat().st_size} of {size} bytes")
        try:
            found = _fingerprint(path)[1]
        except PermissionError as error:
            raise UserError(f"cannot read {path}: {error.strerror}; correct its permissions") from error
        if found != checksum:
            raise DamagedError(f"{name} differs from what was written")


def replace_folder(source: Path, target: Path) -> None:
    """Renames a folder, replacing whatever is at the target, and syncs the rename to disk."""
    if target.exists():
        shutil.rmtree(target)
    source.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reason(error: Exception) -> str:
    """Returns why a write failed in the system's words, of which tensorstore reports only the number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else str(error).split("\n")[0]


def _read_manifest(path: Path) -> dict:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["files"].items()
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        raise DamagedError(f"{path.name} is missing or unreadable") from None
    return manifest


def _files(folder: Path) -> list[Path]:
    manifests = {folder / MANIFEST, *folder.glob(MANIFEST_OF.format("*"))}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in manifests)


def _fingerprint(path: Path) -> tuple[int, int]:
    """Returns the size and CRC-32 of a file."""
    size, checksum = 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    return size, checksum
