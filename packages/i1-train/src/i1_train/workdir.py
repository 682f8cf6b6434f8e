"""The folder of a run: who may write into it, and whether it belongs to this configuration."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from i1_hooks import UserError, from_dict, to_dict

from i1_train.config import MAY_CHANGE, TrainConfig
from i1_train.stored_config import current_layout

CONFIG = "config.json"
LOCK = ".lock"


@contextlib.contextmanager
def open_workdir(workdir: Path, config: TrainConfig, *, first: bool = True) -> Iterator[Path]:
    """Makes or reopens the folder of a run and holds it until the block ends.

    Fields marked with `MAY_CHANGE` may differ from the `config.json` of an earlier run.

    Args:
        workdir: the folder.
        config: the recipe.
        first: whether this process holds the folder; of several hosts, the first one does.

    Raises:
        UserError: for a folder that cannot be written, that another process trains in, or that holds another
            run; nothing is changed then.
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
            _check_owner(workdir, config)
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
        _check_owner(workdir, config)
        yield workdir


def _check_owner(workdir: Path, config: TrainConfig) -> None:
    path = workdir / CONFIG
    if not path.exists():
        checkpoints = workdir / "checkpoints"
        if checkpoints.is_dir() and any(checkpoints.iterdir()):
            raise UserError(
                f"workdir {workdir} holds checkpoints but no {CONFIG}; copy it back from one of "
                f"{checkpoints}/*/{CONFIG}, or choose another workdir"
            )
        return
    differing = differences(_read(path), to_dict(config))
    refused = [line for name, line in differing.items() if not may_change(config, name)]
    if refused:
        shown = ", ".join(refused[:8]) + (f" and {len(refused) - 8} more" if len(refused) > 8 else "")
        raise UserError(
            f"workdir {workdir} holds another run: {shown}; use another workdir, or the recipe and settings "
            "it was started with"
        )


def _read(path: Path) -> Any:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); copy it back from a checkpoint's {CONFIG}"
        ) from error
    try:
        return to_dict(
            from_dict(TrainConfig, current_layout(stored))
        )  # fills in fields that are newer than the run
    except UserError:
        return stored


def may_change(config: Any, path: str) -> bool:
    """Says whether the field at a path of the recipe's JSON may differ when a run is resumed.

    It may if it, or a field around it, has the metadata `MAY_CHANGE`.
    """
    value = config
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


def differences(old: Any, new: Any) -> dict[str, str]:
    """Returns the paths at which two configurations differ, each with a text `path: old -> new`."""
    before, after = flatten_json(old), flatten_json(new)
    return {
        path: f"{path}: {_show(before, path)} -> {_show(after, path)}"
        for path in sorted(before.keys() | after.keys())
        if _show(before, path) != _show(after, path)
    }


def flatten_json(data: Any, path: str = "") -> dict[str, Any]:
    """Returns the values inside nested dicts and lists by their paths, joined by dots."""
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    flat: dict[str, Any] = {} if children else {path: data}
    for name, child in children:
        flat.update(flatten_json(child, f"{path}.{name}" if path else str(name)))
    return flat


def _show(flat: dict[str, Any], path: str) -> str:
    return json.dumps(flat[path]) if path in flat else "absent"


def write_json(path: Path, data: Any) -> None:
    """Replaces a JSON file in one step.

    Raises:
        UserError: when it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.saving")
    try:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
