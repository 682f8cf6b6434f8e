"""Captions as people write them: lines of text files, rows of manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i1_hooks import UserError
from i1_hooks.files import decode_text, parse_json, read_text, split_lines

IMAGE_COLUMNS = ("file_name", "image", "image_path")
CAPTION_COLUMNS = ("text", "caption", "captions")
MANIFESTS = ("metadata.jsonl", "captions.jsonl")
"""Names of files that list the images of their folder, and of those below."""

_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def caption_lines(text: str) -> list[str]:
    """Returns the captions of a text file: its lines that are not empty, without white space around them."""
    return [line.strip() for line in split_lines(text) if line.strip()]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a manifest.

    Attributes:
        where: file and line, for messages.
        image: the image that it names.
        captions: captions in the order of `CAPTION_COLUMNS`.
    """

    where: str
    image: str
    captions: list[str]


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a text file, one at a time unless it is UTF-16 or UTF-32.

    Raises:
        UserError: naming the file, and the line where it is not text.
    """
    try:
        with path.open("rb") as file:
            if not file.peek(4)[:4].startswith(_WIDE_MARKS):
                for number, line in enumerate(file, start=1):
                    yield decode_text(line, f"{path}:{number}").removesuffix("\n").removesuffix("\r")
                return
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    yield from split_lines(read_text(path))


def parse_row(line: str, where: str) -> Row:
    """Reads a line of a manifest: a JSON object with the image under one of `IMAGE_COLUMNS` and captions.

    Captions are what stands under `text`, `caption` and `captions`: a string or a list of strings.

    Raises:
        UserError: naming the line, for one that is not a JSON object, a missing column, or a caption that is
            not text.
    """
    row = parse_json(line, where)
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a JSON object, got {line.strip()[:80]}")
    name = next((row[column] for column in IMAGE_COLUMNS if column in row), None)
    if not isinstance(name, str) or not name or "\0" in name:
        raise UserError(
            f"{where}: names no image; expected one of {', '.join(IMAGE_COLUMNS)}, got {', '.join(row)}"
        )
    if not any(column in row for column in CAPTION_COLUMNS):
        raise UserError(
            f"{where}: has no caption; expected one of {', '.join(CAPTION_COLUMNS)}, got {', '.join(row)}"
        )
    return Row(where=where, image=name, captions=row_captions(row, CAPTION_COLUMNS, where))


def row_captions(row: Mapping[str, Any], columns: tuple[str, ...], where: str) -> list[str]:
    """Returns the captions of a row: strings and lists of strings under its columns, empty ones left out.

    Raises:
        UserError: naming the row and column, for a value that is not text.
    """
    captions: list[str] = []
    for column in columns:
        value = row.get(column)
        values = value if isinstance(value, list) else [] if value is None else [value]
        for caption in values:
            if not isinstance(caption, str):
                raise UserError(f"{where}: {column} must be text or a list of texts, got {caption!r:.80}")
            if caption.strip():
                captions.append(caption)
    return captions
