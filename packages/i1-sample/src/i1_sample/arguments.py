"""Records of options as command-line arguments, in both directions."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection
from typing import Any, TypeVar

from i1_hooks import get_registry
from i1_hooks.files import parse_json

from i1_sample.options import LoadOptions, SampleOptions, parse_lora

RecordT = TypeVar("RecordT", LoadOptions, SampleOptions)
_NUMBERS = {"int": int, "float": float}


def add_options(
    parser: argparse.ArgumentParser, record: type[RecordT], *, skip: Collection[str] = ()
) -> None:
    """Adds one argument for every field of a record that has a flag, except those named in `skip`."""
    for field in dataclasses.fields(record):
        flags, written = field.metadata["flags"], str(field.type)
        if not flags or field.name in skip:
            continue
        text, kind = field.metadata["help"], field.metadata["kind"]
        options: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS}
        if written == "bool":
            options["action"] = "store_true"
        else:
            options["metavar"] = field.metadata["metavar"]
            options["type"] = _NUMBERS.get(written.partition(" ")[0], str)
        if written.startswith("tuple"):
            options["action"] = "append"
        if field.metadata["choices"]:
            options |= {"choices": field.metadata["choices"], "metavar": None}
        if kind is not None:
            text = f"{text}: {', '.join(get_registry().components(kind))}"
        parser.add_argument(*flags, help=text, **options)


def read_options(record: type[RecordT], arguments: argparse.Namespace) -> RecordT:
    """Returns the record that parsed arguments stand for; what was not given keeps its default.

    Raises:
        UserError: for a component that does not exist, or a value that does not fit its field.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        if not hasattr(arguments, field.name):
            continue
        value, kind = getattr(arguments, field.name), field.metadata["kind"]
        if kind is not None:
            value = _read_component(kind, field.metadata["flags"][0], value)
        elif field.name == "loras":
            value = tuple(map(parse_lora, value))
        values[field.name] = value
    return record(**values)


def _read_component(kind: str, flag: str, text: str) -> Any:
    """Returns a component as the records take it: a registered name, or what JSON with its fields says."""
    if text.lstrip().startswith("{"):
        return parse_json(text, flag)
    get_registry().find(kind, text)
    return text
