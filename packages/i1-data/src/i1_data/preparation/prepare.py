"""A whole preparation: shards that are missing are made, by several processes, and a manifest lists them."""

from __future__ import annotations

import fcntl
import functools
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from i1_hooks import UserError, from_dict, to_dict
from i1_hooks.files import read_json, write_atomically

from i1_data.preparation.settings import Preparation
from i1_data.preparation.shard import Row, digest_records, write_shard
from i1_data.reading import open_source
from i1_data.sources import Source
from i1_data.sources.array_record import MANIFEST, SUFFIX

PLAN = "plan.json"
"""What is prepared, written first and removed when the manifest is there."""

FORMAT = 1

Report = Callable[[int, int, Row], None]
"""Is told how many shards there are of how many, and the newest row."""


def prepare(settings: Preparation, folder: Path, *, workers: int = 1, report: Report | None = None) -> Any:
    """Prepares a source into a folder of shards with a manifest.

    Each run of `records_per_shard` records becomes one shard, whose bytes are a function of the settings and
    the records alone. Killed and called again, it makes the shards that are missing. Called for a finished
    set, it reads the source and makes again those shards whose records changed; pictures that did not change
    are not encoded again.

    Args:
        settings: what to do.
        folder: of the result; it may hold an earlier part of the same preparation.
        workers: processes that prepare shards; 1 works in this one.
        report: is called after every shard.

    Returns:
        The manifest.

    Raises:
        UserError: for a folder that holds something else or in which another process prepares, a source that
            cannot be opened, and, where the source is strict, a record that cannot be read.
    """
    if workers < 1:
        raise UserError(f"workers must be at least 1, got {workers}")
    source = open_source(settings.source)
    num_records = len(source)
    size = settings.records_per_shard
    units = [range(first, min(first + size, num_records)) for first in range(0, num_records, size)]
    names = [f"data-{number:05d}-of-{len(units):05d}{SUFFIX}" for number in range(len(units))]
    plan = {"format": FORMAT, "settings": to_dict(settings), "source_records": num_records}
    _make_folder(folder)
    with _held(folder):
        finished = _open_folder(folder, plan)
        rows: dict[str, dict[str, Any]] = {}
        for name, unit in zip(names, units, strict=True):
            row = finished.get(name) or _read_row(folder, name)
            if row is None or not (folder / name).is_file():
                continue
            if not finished or row["digest"] == digest_records(settings, source, unit):
                rows[name] = row
        work = [(name, unit) for name, unit in zip(names, units, strict=True) if name not in rows]
        if work:
            write_atomically(folder / PLAN, json.dumps(plan, indent=2) + "\n")
            for name in rows:
                write_atomically(_row_path(folder, name), json.dumps(rows[name]))
            (folder / MANIFEST).unlink(missing_ok=True)
        make = functools.partial(_make_shard, to_dict(settings), folder)
        with _mapping(workers, make, source) as run:
            for row in run(work):
                rows[row.shard] = row.to_json()
                if report is not None:
                    report(len(rows), len(names), row)
        manifest = {**plan, **_totals(list(rows.values())), "shards": [rows[name] for name in names]}
        if work or not finished:
            write_atomically(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        _clean(folder, set(names))
        return manifest


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keeps other processes from preparing into a folder.

    Raises:
        UserError: when one does so already.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UserError(f"another process prepares into {folder}; wait for it or choose another") from error
    finally:
        os.close(descriptor)


@contextmanager
def _mapping(workers: int, make: Callable[..., Row], source: Source) -> Iterator[Callable[..., Any]]:
    """Yields what runs a function over pieces of work, in order: in this process or in several."""
    if workers == 1:
        yield lambda work: (make(piece, source=source) for piece in work)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield lambda work: pool.map(make, work)


def _make_shard(
    settings: dict[str, Any], folder: Path, piece: tuple[str, range], *, source: Source | None = None
) -> Row:
    name, unit = piece
    loaded: Preparation = from_dict(Preparation, settings)
    opened = open_source(loaded.source) if source is None else source
    path = folder / name
    row = write_shard(loaded, opened, unit, path, path if path.is_file() else None)
    write_atomically(_row_path(folder, name), json.dumps(row.to_json()))
    return row


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make folder {folder}: {error.strerror}") from error


def _open_folder(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Returns the rows of a finished set of the same preparation; none for a new folder or a part of one.

    Raises:
        UserError: for a folder that holds something else.
    """
    others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    for name in (MANIFEST, PLAN):
        if (folder / name).is_file():
            found: Any = read_json(folder / name)
            known = {key: found.get(key) for key in ("format", "settings")} if isinstance(found, dict) else {}
            if known != {key: plan[key] for key in ("format", "settings")}:
                raise UserError(
                    f"{folder} holds another preparation: {_difference(known, plan)}; choose another folder, "
                    "or remove this one"
                )
            if name == MANIFEST and found.get("source_records") == plan["source_records"]:
                return {row["shard"]: row for row in found["shards"]}
            if name == PLAN and found.get("source_records") != plan["source_records"]:
                for path in folder.glob(".data-*.row.json"):  # these runs of records are others now
                    path.unlink()
            return {}
    if others:
        raise UserError(f"{folder} is not empty and holds no prepared set; choose another folder")
    return {}


def _difference(found: dict[str, Any], plan: dict[str, Any]) -> str:
    before, after = found.get("settings") or {}, plan["settings"]
    for name in after:
        if before.get(name) != after[name]:
            return f"{name} was {json.dumps(before.get(name))}, is {json.dumps(after[name])}"
    return f"format was {found.get('format')}, is {plan['format']}"


def _row_path(folder: Path, shard: str) -> Path:
    return folder / f".{shard}.row.json"


def _read_row(folder: Path, shard: str) -> dict[str, Any] | None:
    path = _row_path(folder, shard)
    return read_json(path) if path.is_file() else None


def _totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for row in rows:
        dropped.update(row["dropped"])
        sizes.update(row["sizes"])
    return {
        "records": sum(row["records"] for row in rows),
        "enlarged": sum(row["enlarged"] for row in rows),
        "unreadable": sum(len(row["unreadable"]) for row in rows),
        "dropped": dict(sorted(dropped.items())),
        "sizes": dict(sorted(sizes.items())),
    }


def _clean(folder: Path, names: set[str]) -> None:
    """Removes what only an unfinished preparation needs, and shards of an earlier one."""
    for path in folder.iterdir():
        is_ours = path.name.startswith((".data-", ".i1-")) or path.name == PLAN
        if is_ours or (path.name.endswith(SUFFIX) and path.name not in names):
            path.unlink()
