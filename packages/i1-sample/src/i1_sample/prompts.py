"""Prompts as text: which are accepted, and reading them from files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from i1_hooks import UserError
from i1_hooks.files import parse_json, read_text, split_lines
from i1_hooks.text import one_line

_SHOWN = 60
_FIELD = "prompt"
"""Of a JSON object, and column of a CSV file."""
_WHITE_SPACE = "\t\n\r"


def check_prompt(prompt: str) -> None:
    """Checks that a prompt is text that can be encoded and written down.

    Raises:
        UserError: for a byte that is not UTF-8, half a character, or a control character.
    """
    for place, character in enumerate(prompt):
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            what = f"byte 0x{code - 0xDC00:02x} is not UTF-8; write the prompt in UTF-8"
        elif 0xD800 <= code <= 0xDFFF:
            what = f"\\u{code:04x} is half a character; write both halves"
        elif (code < 0x20 and character not in _WHITE_SPACE) or 0x7F <= code < 0xA0:
            what = f"character {character!r} is a control character; leave it out"
        else:
            continue
        raise UserError(f"prompt {one_line(prompt[:_SHOWN])!r}, at {place}: {what}")


def printable(text: str) -> str:
    """Returns text in which bytes of file names that are not UTF-8 are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def match_negatives(
    negative: str | tuple[str | None, ...] | None, num_prompts: int
) -> tuple[str | None, ...]:
    """Returns one negative prompt per prompt, None for the null caption; nothing when all are null.

    Raises:
        UserError: for another number of texts, or text that `check_prompt` refuses.
    """
    texts = (negative,) * num_prompts if negative is None or isinstance(negative, str) else negative
    if len(texts) != num_prompts:
        raise UserError(f"negative_prompt: {len(texts)} texts for {num_prompts} prompts; give one per prompt")
    for text in texts:
        check_prompt(text or "")
    return tuple(text or None for text in texts) if any(texts) else ()


def read_prompts(path: Path) -> list[str]:
    """Returns the prompts of a file: one per line, or `prompt` of every line of a .jsonl or row of a .csv.

    Empty lines are skipped. Only line feeds end a line.

    Raises:
        UserError: for a file that cannot be read, is not text, lacks a prompt somewhere, or holds none.
    """
    try:
        text = read_text(path)
        if path.suffix.lower() == ".csv":
            prompts = _from_csv(text, path)
        else:
            lines = [line.strip() for line in split_lines(text)]
            is_json = path.suffix.lower() == ".jsonl"
            prompts = [
                _from_json(line, f"{path}, line {number}") if is_json else line
                for number, line in enumerate(lines, start=1)
                if line
            ]
    except UserError as error:
        raise UserError(f"--prompts-file: {error}") from error
    if not prompts:
        raise UserError(f"--prompts-file {path} holds no prompt; write one per line")
    return prompts


def _from_json(line: str, name: str) -> str:
    value = parse_json(line, name)
    prompt = value.get(_FIELD) if isinstance(value, dict) else value
    if not isinstance(prompt, str) or not prompt.strip():
        raise UserError(f"{name}: expected a text, or an object with a text under {_FIELD!r}, got {line:.80}")
    return prompt.strip()


def _from_csv(text: str, path: Path) -> list[str]:
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise UserError(f"{path} is not CSV: {error}") from error
    if rows and _FIELD not in rows[0]:
        columns = ", ".join(map(str, rows[0]))
        raise UserError(f"{path} has no column {_FIELD!r}; its columns are {columns}")
    empty = [number for number, row in enumerate(rows, start=1) if not (row[_FIELD] or "").strip()]
    if empty:
        raise UserError(f"{path}, row {empty[0]}: no {_FIELD}")
    return [row[_FIELD].strip() for row in rows]
