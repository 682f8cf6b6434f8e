"""Manifests: JSON lines that name images and their captions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i1_hooks import UserError

IMAGE_COLUMNS = ("file_name", "image", "image_path")
CAPTION_COLUMNS = ("text", "caption", "captions")


def read_manifest(path: Path) -> dict[Path, list[str]]:
    """Reads a manifest: a JSON object per line, the image under one of `IMAGE_COLUMNS`, relative to the file.

    Captions are what stands under `text`, `caption` and `captions` (a string or a list of strings), in this
    order; several lines that name one image add up. Empty lines are skipped.

    Returns:
        The captions of every image, in the order of the manifest.

    Raises:
        UserError: naming the line, for a line that is no JSON object, a missing column, a caption that is no
            text, or an image that does not exist.
    """
    found: dict[Path, list[str]] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                name, captions = _parse(line, f"{path}:{number}")
                image = path.parent / name
                if image not in found and not image.is_file():
                    raise UserError(f"{path}:{number}: no image {image}; correct the line or add the file")
                found.setdefault(image, []).extend(captions)
    return found


def _parse(line: str, where: str) -> tuple[str, list[str]]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a JSON object, got {line.strip()[:80]}")
    name = next((row[column] for column in IMAGE_COLUMNS if column in row), None)
    if not isinstance(name, str) or not name:
        raise UserError(
            f"{where}: names no image; expected one of {', '.join(IMAGE_COLUMNS)}, got {', '.join(row)}"
        )
    if not any(column in row for column in CAPTION_COLUMNS):
        raise UserError(
            f"{where}: has no caption; expected one of {', '.join(CAPTION_COLUMNS)}, got {', '.join(row)}"
        )
    return name, row_captions(row, CAPTION_COLUMNS, where)


def row_captions(row: Mapping[str, Any], columns: tuple[str, ...], where: str) -> list[str]:
    """Returns the captions of a row: strings and lists of strings under its columns, empty ones left out.

    Raises:
        UserError: naming the row and column, for a value that is no text.
    """
    captions: list[str] = []
    for column in columns:
        value = row.get(column)
        values = value if isinstance(value, list) else [] if value is None else [value]
        for caption in values:
            if not isinstance(caption, str):
                raise UserError(f"{where}: {column} must be text or a list of texts, got {caption!r}")
            if caption.strip():
                captions.append(caption)
    return captions
