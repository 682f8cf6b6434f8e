"""Checkpoints of a run: whole or absent, verified when read."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from i1_hooks import UserError

FORMAT = "i1-checkpoint"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
RECORD = "run.json"
STATE = "state"
MODEL = "model"


@dataclass(frozen=True)
class Restored:
    """What a checkpoint holds.

    Attributes:
        state: the training state.
        record: the JSON-ready data that was saved beside it.
        rejected: newer checkpoints that could not be read, with the reason; each was moved aside.
    """

    state: Any
    record: dict[str, Any]
    rejected: tuple[str, ...]


class Checkpoints:
    """The folder `checkpoints` of a workdir; `checkpoints/N` is the checkpoint after step N.

    A checkpoint holds `state` (orbax), `run.json`, whatever `write_extra` adds, and `manifest.json` with the
    size and CRC-32 of every file. It is written beside its place and renamed, so that a killed process leaves
    none or all.

    Args:
        folder: where the checkpoints are.
        keep: how many of the newest stay.
        keep_every: those at multiples of this stay for good; 0 for none.
    """

    def __init__(self, folder: Path, *, keep: int, keep_every: int = 0) -> None:
        self.folder = folder
        self._keep = keep
        self._keep_every = keep_every

    def steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, ascending."""
        if not self.folder.is_dir():
            return []
        return sorted(
            int(path.name) for path in self.folder.iterdir() if path.name.isdigit() and path.is_dir()
        )

    def path(self, step: int) -> Path:
        """Returns where the checkpoint of a step is or would be."""
        return self.folder / str(step)

    def save(
        self, step: int, state: Any, record: dict[str, Any], write_extra: Callable[[Path], None] | None = None
    ) -> Path:
        """Writes the checkpoint of a step, then removes those that need not be kept; returns its folder.

        Args:
            step: number of finished steps.
            state: pytree of arrays.
            record: JSON-ready data, such as the data position.
            write_extra: called with the new folder, to write more into it.

        Raises:
            UserError: when the disk is full or may not be written; earlier checkpoints are intact.
        """
        temporary = self.folder / f".saving-{step}"
        try:
            self._write(
                temporary, state, {"format": FORMAT, "format_version": FORMAT_VERSION, **record}, write_extra
            )
            _replace(temporary, self.path(step))
            self._prune()
        except (OSError, ValueError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            done = self.steps()
            rest = (
                f"the last good checkpoint is {self.path(done[-1])}"
                if done
                else "there is no earlier checkpoint"
            )
            reason = (
                error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
            )
            raise UserError(
                f"cannot write checkpoint {self.path(step)}: {reason}; {rest}; free space and run again"
            ) from error
        return self.path(step)

    def _write(
        self, folder: Path, state: Any, record: dict[str, Any], write_extra: Callable[[Path], None] | None
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".saving-*"):
            shutil.rmtree(leftover)
        needed = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise UserError(f"{needed / 2**20:.0f} MiB needed, {free / 2**20:.0f} MiB free")
        folder.mkdir()
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            checkpointer.save((folder / STATE).absolute(), args=ocp.args.StandardSave(state))
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if write_extra is not None:
            write_extra(folder)
        manifest = {str(path.relative_to(folder)): _fingerprint(path) for path in _files(folder)}
        with (folder / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump({"files": manifest}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())

    def _prune(self) -> None:
        steps = self.steps()
        stay = set(steps[-self._keep :])
        if self._keep_every:
            stay |= {step for step in steps if step % self._keep_every == 0}
        for step in set(steps) - stay:
            shutil.rmtree(self.path(step))

    def restore(self, template: Any) -> Restored | None:
        """Reads the newest checkpoint that is whole; `None` when there never was one.

        Args:
            template: pytree of `jax.ShapeDtypeStruct` with shardings.

        Raises:
            UserError: when there are checkpoints but none can be read.
        """
        rejected: list[tuple[int, str]] = []
        for step in reversed(self.steps()):
            try:
                state, record = self._read(self.path(step), template)
            except DamagedError as damage:
                rejected.append((step, f"checkpoint {self.path(step)} is damaged ({damage})"))
                continue
            for bad, _ in rejected:
                _replace(self.path(bad), self.folder / f"{bad}.damaged")
            return Restored(state, record, tuple(reason for _, reason in rejected))
        if rejected:
            raise UserError(
                f"no checkpoint can be read: {'; '.join(reason for _, reason in rejected)}; "
                f"bring back a copy of one, or use a new workdir to begin again"
            )
        return None

    def _read(self, folder: Path, template: Any) -> tuple[Any, dict[str, Any]]:
        verify(folder)
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record.get("format_version") != FORMAT_VERSION:
            raise UserError(
                f"{folder} has format version {record.get('format_version')}, this i1-train reads "
                f"{FORMAT_VERSION}; resume with the version that wrote it"
            )
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            state = checkpointer.restore((folder / STATE).absolute(), args=ocp.args.StandardRestore(template))
        return state, record


class DamagedError(Exception):
    """A checkpoint that is not what was written."""


def verify(folder: Path) -> None:
    """Compares every file of a checkpoint with its manifest.

    Raises:
        DamagedError: naming the first file that is missing, of another size or of other content.
        UserError: for a file that may not be read.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise DamagedError(f"{MANIFEST} is missing or unreadable") from None
    for name, (size, checksum) in manifest.items():
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
            raise DamagedError(f"{name} has other content than was written")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fingerprint(path: Path) -> tuple[int, int]:
    """Returns the size and CRC-32 of a file."""
    size, checksum = 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    return size, checksum


def _replace(source: Path, target: Path) -> None:
    """Renames a folder, in place of what is at the target."""
    if target.exists():
        shutil.rmtree(target)
    source.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
