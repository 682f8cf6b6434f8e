"""Walking folders of data, without what desktop systems and i1 itself put there."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from i1_hooks import UserError
from i1_hooks.files import read_json
from i1_hooks.text import one_line

from i1_data.sources.faults import Faults, printable

SYSTEM_NAMES = frozenset(
    {
        *("__macosx", "__pycache__", "@eadir", "#recycle", "#snapshot", "lost+found", "$recycle.bin"),
        *("system volume information", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
        *("icon\r", "network trash folder", "temporary items"),
    }
)
"""What desktop systems and file servers write beside people's files, in small letters."""

_logger = logging.getLogger(__name__)


def is_system_name(name: str) -> bool:
    """Says whether a file or folder is hidden, or is one of those that desktop systems make."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def is_system_path(path: str) -> bool:
    """Says whether any part of a relative path is hidden or made by a desktop system."""
    return any(is_system_name(part) for part in PurePosixPath(path).parts)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a folder.

    Attributes:
        files: their paths relative to the folder, with slashes, in the order of their parts.
        num_hidden: hidden and system files and folders that were passed over.
        own: folders below that i1 itself wrote, such as workdirs, which were passed over.
    """

    files: Sequence[str]
    num_hidden: int
    own: Sequence[str]


@dataclass
class _Walk:
    faults: Faults
    files: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    num_hidden: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)

    def enter(self, folder: str, relative: str) -> None:
        pending = [(folder, relative)]
        while pending:
            folder, relative = pending.pop()
            try:
                status = os.stat(folder)  # noqa: PTH116 (paths are strings here: millions of files)
                if (status.st_dev, status.st_ino) in self.seen:
                    continue
                self.seen.add((status.st_dev, status.st_ino))
                entries = list(os.scandir(folder))
            except OSError as error:
                self.unreadable("folder", folder, error)
                continue
            if relative and own_output(Path(folder)):
                self.own.append(relative)
                continue
            for entry in entries:
                name = posixpath.join(relative, entry.name)
                if is_system_name(entry.name):
                    self.num_hidden += 1
                elif entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, name))
                elif entry.is_symlink():
                    self.follow(entry, name)
                elif entry.is_file():
                    self.files.append(name)

    def follow(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            os.stat(entry.path)  # noqa: PTH116
        except OSError as error:
            self.unreadable("link", entry.path, error)
            return
        if entry.is_dir():
            self.links.append((entry.path, name))
        elif entry.is_file():
            self.files.append(name)

    def unreadable(self, what: str, path: str, error: OSError) -> None:
        self.faults.add(
            "unreadable folders and links",
            f"cannot read {what} {printable(path)}: {error.strerror}; correct or remove it",
        )


def list_files(root: Path, faults: Faults) -> Listing:
    """Returns the files in a folder and below.

    Linked folders are followed, each folder once, under its real path where that is below the root too.
    Hidden and system files are passed over and counted, as are folders that i1 wrote.

    Args:
        root: the folder.
        faults: takes folders and links that cannot be read.

    Raises:
        UserError: for a root that is itself the output of i1.
    """
    if what := own_output(root):
        raise UserError(
            f"{printable(str(root))} is {what}, not a folder of data; name the folder of the data"
        )
    walk = _Walk(faults)
    walk.enter(str(root), "")
    while walk.links:
        links, walk.links = sorted(walk.links), []
        for folder, relative in links:
            walk.enter(folder, relative)
    if walk.num_hidden:
        _logger.info("%s", one_line(f"{root}: passed over {walk.num_hidden} hidden and system files"))
    for name in walk.own:
        _logger.warning("%s", one_line(f"{root}: passed over {name}, which is {own_output(root / name)}"))
    files = sorted(walk.files, key=lambda name: PurePosixPath(name).parts)
    return Listing(files=files, num_hidden=walk.num_hidden, own=sorted(walk.own))


def own_output(folder: Path) -> str | None:
    """Says what a folder that i1 wrote is, such as the workdir of a run; `None` for any other."""
    if (folder / "_CHECKPOINT_METADATA").is_file() or (folder / "commit_success.txt").is_file():
        return "a checkpoint of a run"
    config = _small_json(folder / "config.json")
    if not isinstance(config, dict):
        return None
    if "recipe" in config and "data" in config:
        return "the workdir of a run"
    return "a model" if (folder / "model.safetensors").is_file() else None


def _small_json(path: Path) -> Any:
    try:
        return read_json(path) if path.is_file() else None
    except UserError:
        return None
