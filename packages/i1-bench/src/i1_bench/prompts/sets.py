"""The prompts that a model is given: the original ones, rewritten, or repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from i1_hooks import UserError
from i1_hooks.files import parse_json, split_lines

from i1_bench.prompts.catalogue import PromptFolder

ORIGINAL = "original"
VARIANTS = (ORIGINAL, "simple_rewrite", "complex_rewrite")
"""The variants that every benchmark has; `repeated4` and so on join a prompt that often."""
_REPEATED = re.compile(r"repeated([1-9]\d?)")


def read_lines(folder: PromptFolder, name: str) -> list[dict[str, Any]]:
    """Returns the objects of a file of JSON lines.

    Raises:
        UserError: for a file that is missing, of another version, or no JSON lines.
    """
    rows = []
    for number, line in enumerate(split_lines(folder.read(name)), 1):
        if line.strip():
            rows.append(parse_json(line, f"{name}, line {number}"))
    return rows


def read_json(folder: PromptFolder, name: str) -> Any:
    """Returns the value of a JSON file; raises as `read_lines`."""
    return parse_json(folder.read(name), name)


def variant_texts(
    folder: PromptFolder, stem: str, variant: str, originals: Sequence[str], suffixes: Sequence[str]
) -> list[str]:
    """Returns the text that a model is given for each prompt.

    Args:
        folder: of the prompt files.
        stem: of the set's files in `generation/`.
        variant: one of `VARIANTS`, or `repeatedN`.
        originals: the prompts of the benchmark, in the order of its file.
        suffixes: that its files may have.

    Raises:
        UserError: for an unknown variant, or a file that does not have a text for each prompt.
    """
    if variant == ORIGINAL:
        return list(originals)
    if repeated := _REPEATED.fullmatch(variant):
        return [" ".join([text] * int(repeated[1])) for text in originals]
    if variant not in VARIANTS:
        raise UserError(
            f"unknown variant {variant!r}: choose {', '.join(VARIANTS)}, or repeatedN with N from 1 to 99"
        )
    name = _find(folder, f"generation/{stem}_{variant}", suffixes)
    texts = _texts(folder, name)
    if len(texts) != len(originals):
        raise UserError(
            f"{name} has {len(texts)} prompts, the benchmark {len(originals)}: expected one for each"
        )
    return texts


def _find(folder: PromptFolder, stem: str, suffixes: Sequence[str]) -> str:
    if folder.path is not None:
        for suffix in suffixes:
            if (folder.path / f"{stem}{suffix}").is_file():
                return f"{stem}{suffix}"
    from i1_bench.prompts.catalogue import published_files

    known = [f"{stem}{suffix}" for suffix in suffixes if f"{stem}{suffix}" in published_files()]
    return known[0] if known else f"{stem}{suffixes[0]}"


def _texts(folder: PromptFolder, name: str) -> list[str]:
    if name.endswith(".txt"):
        texts: list[Any] = split_lines(folder.read(name))
    elif name.endswith(".jsonl"):
        texts = [row.get("prompt") for row in read_lines(folder, name)]
    else:
        texts = [
            row[1] if isinstance(row, list) and len(row) == 2 else row for row in read_json(folder, name)
        ]
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise UserError(f"{name}, prompt {number}: expected a text, got {json.dumps(text)[:80]}")
    return texts
