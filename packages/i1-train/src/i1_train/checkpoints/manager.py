"""Checkpoints of a run: written in the background, complete or absent, verified when read."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict

import jax
import orbax.checkpoint as ocp
from i1_hooks import UserError
from i1_hooks.text import one_line
from i1_model.checkpoints.workdir import CHECKPOINTS, checkpoint_steps
from jaxtyping import PyTree

from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.checkpoints.manifest import DamagedError, reason, replace_folder, verify, write_manifest
from i1_train.checkpoints.snapshot import copy_for_background_read
from i1_train.devices.agreement import exchange, fail_together

FORMAT = "i1-checkpoint"
FORMAT_VERSION = 2
RECORD = "run.json"
STATE = "state"
ORBAX_SECONDS = 7 * 86400
"""Orbax's timeout for a write. It is long because orbax measures it by the wall clock, which may jump.

Some of orbax's own waits have shorter limits, so a jump of many minutes can still end a write.
"""


class RunRecord(TypedDict, total=False):
    """The JSON data in a checkpoint's `run.json`.

    Attributes:
        format: always `FORMAT`.
        format_version: version of the layout.
        step: number of finished steps.
        data: position of the data.
        base: digest of the frozen parameters below LoRA.
        score: held-out loss, which ranks the checkpoint; lower is better.
        plugins: versions of the installed plugins.
        libraries: versions of the installed libraries.
    """

    format: str
    format_version: int
    step: int
    data: dict[str, Any]
    base: str | None
    score: float | None
    plugins: dict[str, str]
    libraries: dict[str, str]


@dataclass(frozen=True)
class Restored:
    """The content of a checkpoint.

    Attributes:
        state: the training state.
        record: the JSON data that was saved with it.
        rejected: for each newer checkpoint that could not be read, a sentence that says why; it was moved
            aside.
    """

    state: PyTree[jax.Array]
    record: RunRecord
    rejected: tuple[str, ...]


class Checkpoints:
    """The folder `checkpoints` of a workdir; `checkpoints/N` is the checkpoint after step N.

    A checkpoint holds `state` (orbax), `run.json`, whatever `write_extra` adds, and manifests with the size
    and CRC-32 of every file. A background thread writes it under a temporary name, one checkpoint at a time,
    and renames it at the end, so that a killed process leaves a complete checkpoint or none. On several hosts
    all call the same methods; orbax writes each host's arrays, the first host writes the rest.

    As a context manager it waits for the write in progress when the block ends, unless a `KeyboardInterrupt`
    ends it.

    Args:
        workdir: the workdir.
        config: which checkpoints are kept.
    """

    def __init__(self, workdir: Path, config: Checkpointing) -> None:
        self.workdir = workdir
        self.folder = workdir / CHECKPOINTS
        self._config = config
        self._link: Path | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._complete: list[Path] = []
        self._orbax: ocp.AsyncCheckpointer | None = None

    def steps(self) -> list[int]:
        """Returns the steps of the complete checkpoints, ascending."""
        return checkpoint_steps(self.workdir)

    def path(self, step: int) -> Path:
        """Returns the path of the checkpoint of a step, whether it exists or not."""
        return self.folder / str(step)

    def begin(
        self,
        step: int,
        state: PyTree[jax.Array],
        record: RunRecord,
        write_extra: Callable[[Path], None] | None = None,
    ) -> None:
        """Starts to write the checkpoint of a step, after waiting for the previous one.

        It returns as soon as the state is copied, so that training may continue and overwrite the state.

        Args:
            step: number of finished steps.
            state: pytree of arrays.
            record: JSON-ready data, such as the data position; a number under `score` ranks the checkpoint.
            write_extra: called in the background on the first host, with the new folder, to write more files.

        Raises:
            UserError: when this checkpoint or the previous one could not be written.
        """
        self._join()
        temporary = self.folder / f".saving-{step}"
        try:
            with fail_together("checkpoint begins"):
                if jax.process_index() == 0:
                    self._make_room(temporary, sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
            state = copy_for_background_read(state)
            if self._orbax is None:
                self._orbax = ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler(), ORBAX_SECONDS)
            self._orbax.save(self._for_orbax(temporary / STATE), args=ocp.args.StandardSave(state))
        except (OSError, ValueError) as error:
            raise self._failed(step, error) from error
        record = {"format": FORMAT, "format_version": FORMAT_VERSION, **record}
        self._thread = threading.Thread(
            target=self._finish,
            args=(self._orbax, step, temporary, record, write_extra),
            name="checkpoint",
            daemon=True,
        )
        self._thread.start()

    def is_writing(self) -> bool:
        """Says whether a checkpoint is being written; every host must ask, and all get the same answer."""
        writing = self._thread is not None and self._thread.is_alive()
        return "yes" in exchange("checkpoint is being written", "yes" if writing else "no")

    def finished(self) -> list[Path]:
        """Returns the checkpoints that have become complete since the last call, without waiting.

        Raises:
            UserError: when a checkpoint could not be written; earlier ones are intact. On several hosts,
                which get here at different moments, `begin` and `wait` raise it instead.
        """
        if self._thread is not None and not self._thread.is_alive() and jax.process_count() == 1:
            self._join()
        complete, self._complete = self._complete, []
        return complete

    def wait(self) -> None:
        """Waits until no checkpoint is being written.

        Raises:
            UserError: when the checkpoint could not be written; earlier ones are intact.
        """
        self._join()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            return
        try:
            self._join()
        except UserError as failure:
            if error is None:
                raise
            # only a warning, since what ended the run is reported after it
            print(f"i1: warning: {one_line(failure)}", file=sys.stderr)
        if self._orbax is not None:
            self._orbax.close()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _make_room(self, temporary: Path, num_bytes: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".saving-*"):
            shutil.rmtree(leftover)
        free = shutil.disk_usage(self.folder).free
        if free < 2 * num_bytes:
            raise ValueError(f"{2 * num_bytes / 2**20:.0f} MiB needed, {free / 2**20:.0f} MiB free")
        temporary.mkdir()

    def _finish(
        self,
        orbax: ocp.AsyncCheckpointer,
        step: int,
        temporary: Path,
        record: RunRecord,
        write_extra: Callable[[Path], None] | None,
    ) -> None:
        """Completes a checkpoint in the background; the next call from the run raises what failed here."""
        first = jax.process_index() == 0
        try:
            with fail_together("checkpoint is written"):
                try:
                    if first:
                        text = json.dumps(record, indent=2) + "\n"
                        (temporary / RECORD).write_text(text, encoding="utf-8")
                        if write_extra is not None:
                            write_extra(temporary)
                finally:
                    orbax.wait_until_finished()
            with fail_together("checkpoint is listed"):
                write_manifest(temporary, jax.process_index(), jax.process_count())
            with fail_together("checkpoint is complete"):
                if first:
                    replace_folder(temporary, self.path(step))
                    self._prune()
        except (OSError, ValueError) as error:
            self._error = self._failed(step, error)
        except Exception as error:  # whatever it is, the run must learn of it
            self._error = error
        else:
            self._complete.append(self.path(step))

    def _failed(self, step: int, error: Exception) -> UserError:
        if jax.process_index() == 0:
            shutil.rmtree(self.folder / f".saving-{step}", ignore_errors=True)
        done = self.steps()
        rest = (
            f"the last good checkpoint is {self.path(done[-1])}" if done else "there is no earlier checkpoint"
        )
        return UserError(
            f"cannot write checkpoint {self.path(step)}: {reason(error)}; {rest}; free space and run again"
        )

    def _prune(self) -> None:
        steps = self.steps()
        stay = set(steps[-self._config.keep :])
        if self._config.keep_every:
            stay |= {step for step in steps if step % self._config.keep_every == 0}
        if self._config.keep_best:
            scores = {step: self._score(step) for step in steps}
            ranked = sorted((score, step) for step, score in scores.items() if score is not None)
            stay |= {step for _, step in ranked[: self._config.keep_best]}
        for step in set(steps) - stay:
            shutil.rmtree(self.path(step))

    def _score(self, step: int) -> float | None:
        try:
            score = json.loads((self.path(step) / RECORD).read_text(encoding="utf-8")).get("score")
            return score if score is not None and math.isfinite(score) else None
        except (OSError, ValueError):  # reading it says that it is damaged
            return None

    def restore(
        self, template: PyTree[jax.ShapeDtypeStruct], *, move_damaged: bool = True
    ) -> Restored | None:
        """Reads the newest undamaged checkpoint; returns `None` when there is no checkpoint at all.

        Args:
            template: pytree of `jax.ShapeDtypeStruct` with shardings.
            move_damaged: whether damaged checkpoints are renamed to `N.damaged`.

        Raises:
            UserError: when there are checkpoints but none can be read.
        """
        rejected: list[tuple[int, str]] = []
        for step in reversed(self.steps()):
            if damage := _damage(self.path(step)):
                rejected.append((step, f"checkpoint {self.path(step)} is damaged ({damage})"))
                continue
            state, record = self._read(self.path(step), template)
            if move_damaged and jax.process_index() == 0:
                for bad, _ in rejected:
                    replace_folder(self.path(bad), self.folder / f"{bad}.damaged")
            return Restored(state, record, tuple(reason for _, reason in rejected))
        if rejected:
            raise UserError(
                f"no checkpoint can be read: {'; '.join(reason for _, reason in rejected)}; "
                f"restore one from a copy, or start again in a new workdir"
            )
        return None

    def _read(self, folder: Path, template: PyTree[jax.ShapeDtypeStruct]) -> tuple[PyTree, RunRecord]:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record.get("format_version") != FORMAT_VERSION:
            raise UserError(
                f"{folder} has format version {record.get('format_version')}, this i1-train reads "
                f"{FORMAT_VERSION}; resume with the version that wrote it"
            )
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            arguments = ocp.args.StandardRestore(template)
            state = checkpointer.restore(self._for_orbax(folder / STATE), args=arguments)
        return state, record

    def shapes(self, step: int) -> PyTree:
        """Returns the stored shapes of a checkpoint's state, as nested dicts."""
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            return checkpointer.metadata(self._for_orbax(self.path(step) / STATE)).item_metadata.tree

    def _for_orbax(self, path: Path) -> Path:
        """Returns a path that orbax can open; as it needs UTF-8, a link stands for any other folder."""
        try:
            os.fspath(path.absolute()).encode()
        except UnicodeEncodeError:
            if self._link is None:
                self._link = Path(tempfile.mkdtemp(prefix="i1-"))
                weakref.finalize(self, shutil.rmtree, self._link, ignore_errors=True)
                (self._link / CHECKPOINTS).symlink_to(self.folder.absolute())
            return self._link / CHECKPOINTS / path.relative_to(self.folder)
        return path.absolute()


def _damage(folder: Path) -> str:
    """Returns what is wrong with a checkpoint, empty if it is intact; the same on every host."""
    reason = ""
    try:
        verify(folder, jax.process_index(), jax.process_count())
    except DamagedError as damage:
        reason = str(damage)
    return next(filter(None, exchange("damage", reason)), "")
