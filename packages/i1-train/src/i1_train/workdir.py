"""The workdir of a run: which process may write into it, and whether it holds the same run."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax
from i1_hooks import UserError, from_dict, to_dict
from i1_hooks.files import read_json, user_path, write_atomically
from i1_model.checkpoints.workdir import CHECKPOINTS

from i1_train.config import MAY_CHANGE, TrainConfig
from i1_train.devices.agreement import exchange, fail_together
from i1_train.flat_json import differences, flatten_json
from i1_train.stored_config import current_layout

CONFIG = "config.json"
PATHS = "paths.json"
"""Absolute paths of the files and folders that `config.json` names, as they were when the run started."""
LOCK = ".lock"


@contextlib.contextmanager
def open_workdir(workdir: Path, config: TrainConfig, *, first: bool = True) -> Iterator[Path]:
    """Creates or reopens the workdir of a run and locks it until the block ends.

    Args:
        workdir: the folder.
        config: the recipe.
        first: whether this process locks the folder; of several hosts, the first one does.

    Raises:
        UserError: for a folder that cannot be written, that another process trains in, or that holds another
            run; nothing in it is changed then.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / LOCK).open("a+")
    except OSError as error:
        raise UserError(
            f"workdir {workdir}: {error.strerror}; choose a folder that can be written"
        ) from error
    with lock:
        if not first:
            check_same_run(workdir, config)
            yield workdir
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"workdir {workdir} is in use by process {lock.read().strip() or 'unknown'}; "
                "stop that run or choose another workdir"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()} of {socket.gethostname()}\n")
        lock.flush()
        os.fsync(lock.fileno())  # other hosts read it over the network
        check_same_run(workdir, config)
        yield workdir


def check_shared(workdir: Path) -> None:
    """Checks that all hosts see the folder that the first host has locked.

    Raises:
        UserError: when one does not.
    """
    text = (workdir / LOCK).read_text(encoding="utf-8")
    of_first = next(filter(None, exchange("lock", text if jax.process_index() == 0 else "")))
    with fail_together("shared workdir"):
        if text != of_first:
            raise UserError(
                f"workdir {workdir} is not the first host's; choose a folder that all hosts share"
            )


def check_same_run(workdir: Path, config: TrainConfig) -> None:
    """Checks that a workdir is new, or holds a run of this recipe.

    Fields with the metadata `MAY_CHANGE` may differ. A path may be spelled in another way, as from another
    working folder, if it leads to the same place.

    Raises:
        UserError: naming the fields that differ.
    """
    path = workdir / CONFIG
    if not path.exists():
        checkpoints = workdir / CHECKPOINTS
        if checkpoints.is_dir() and any(checkpoints.iterdir()):
            raise UserError(
                f"workdir {workdir} holds checkpoints but no {CONFIG}; copy it back from one of "
                f"{checkpoints}/*/{CONFIG}, or choose another workdir"
            )
        return
    now = to_dict(config)
    places = _started_paths(workdir)
    texts = flatten_json(now)
    refused = [
        line
        for name, line in differences(_read(path), now).items()
        if not may_change(config, name) and not _same_place(places.get(name), texts.get(name))
    ]
    if refused:
        shown = ", ".join(refused[:8]) + (f" and {len(refused) - 8} more" if len(refused) > 8 else "")
        raise UserError(
            f"workdir {workdir} holds another run: {shown}; use another workdir, or the recipe and settings "
            "it was started with"
        )


def claim(workdir: Path, config: TrainConfig) -> None:
    """Writes the recipe into the workdir, and where the files and folders it names are.

    Raises:
        UserError: when they cannot be written.
    """
    data = to_dict(config)
    found = {name: place for name, text in flatten_json(data).items() if (place := _place(text)) is not None}
    write_atomically(workdir / PATHS, format_json({**found, **_started_paths(workdir)}))
    write_atomically(workdir / CONFIG, format_json(data))


def format_json(data: object) -> str:
    """Returns JSON data as indented text with a final newline."""
    return json.dumps(data, indent=2) + "\n"


def may_change(config: object, path: str) -> bool:
    """Says whether the field at a path of the recipe's JSON may differ when a run is resumed.

    It may if it, or a field around it, has the metadata `MAY_CHANGE`.
    """
    value: object = config
    for name in path.split("."):
        if isinstance(value, (tuple, list)):
            value = value[int(name)] if int(name) < len(value) else None
            continue
        if not dataclasses.is_dataclass(value):
            return False
        field = next((field for field in dataclasses.fields(value) if field.name == name), None)
        if field is None:
            return False
        if MAY_CHANGE.items() <= field.metadata.items():
            return True
        value = getattr(value, name)
    return False


def _read(path: Path) -> object:
    try:
        stored = read_json(path)
    except UserError as error:
        raise UserError(f"{error}; copy it back from a checkpoint's {CONFIG}") from error
    if not isinstance(stored, Mapping):
        raise UserError(f"{path} is not a recipe; copy it back from a checkpoint's {CONFIG}")
    data = current_layout(stored)
    try:
        return to_dict(from_dict(TrainConfig, data))  # with the defaults of newer fields
    except UserError:
        return data


def _started_paths(workdir: Path) -> Mapping[str, str]:
    """Returns the absolute paths by field; none for a run that an earlier version started."""
    return read_json(workdir / PATHS) if (workdir / PATHS).is_file() else {}


def _same_place(started: str | None, text: object) -> bool:
    """Says whether a text is a path to where a field pointed when the run started."""
    return started is not None and _place(text) == started


def _place(text: object) -> str | None:
    """Returns the absolute path that a text names from the working folder; `None` when nothing is there."""
    if not isinstance(text, str) or not text or "\0" in text:
        return None
    try:
        path = user_path(text)
        return os.fspath(path.resolve()) if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long for a path, or a circle of links
        return None
