"""The folder of a run: whose it is, and the files in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_hooks.files import read_json, write_atomically

RUN = "run.json"
PROMPTS = "prompts.jsonl"
IMAGES = "images"
JUDGED = "judged.jsonl"
FAILURES = "failures.jsonl"
QUESTIONS = "questions.jsonl"
RESULTS = "results.jsonl"
SCORES = "scores.json"
SHEET = "contact_sheet.png"


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Makes a folder a run's own, or checks that it is.

    Args:
        folder: made when absent.
        identity: what the run depends on, as far as the stage knows it; later stages may add to it.

    Raises:
        UserError: when it is the folder of another run, holds other files, or cannot be used.
    """
    record = folder / RUN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not record.exists()
        if is_new and any(folder.iterdir()):
            raise UserError(f"{folder} holds other files: choose a new or empty folder for --output")
    except OSError as error:
        raise UserError(
            f"cannot use {folder}: {error.strerror}; choose another folder for --output"
        ) from error
    known = {} if is_new else _read(record)
    for key, value in identity.items():
        if key in known and known[key] != value:
            raise UserError(
                f"{folder} holds another run: {key} {json.dumps(known[key])}, not {json.dumps(value)}; "
                "choose another --output, or that run's settings"
            )
    if identity.keys() - known.keys():
        write_json(record, {**known, **identity})


def _read(record: Path) -> dict[str, Any]:
    try:
        found = read_json(record)
    except UserError as error:
        raise UserError(f"{record} is damaged ({error}); choose another folder for --output") from error
    if not isinstance(found, dict):
        raise UserError(f"{record} is damaged (no object); choose another folder for --output")
    return found


def identity_of(folder: Path) -> dict[str, Any]:
    """Returns what a run depends on.

    Raises:
        UserError: when the folder holds no run, or a damaged one.
    """
    if not (folder / RUN).is_file():
        raise UserError(f"{folder} holds no run of a benchmark: it has no {RUN}")
    return _read(folder / RUN)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes a file of JSON lines atomically."""
    write_atomically(path, "".join(json_line(row) for row in rows))


def json_line(row: dict[str, Any]) -> str:
    """Returns a row as one line of JSON; half characters become escapes, which any reader takes."""
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(row)
    return f"{line}\n"
