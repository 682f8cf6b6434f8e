"""The command `i1 schema`: every option as JSON, for programs that call i1."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Sequence
from typing import Any

from i1_hooks import CommandParser, ComponentConfig, Registry, get_registry, to_dict
from i1_hooks.config import field_types

from i1_sample.options import LoadOptions, SampleOptions

KINDS = ("solvers", "time_grids", "guidances", "rewriters", "models")


def describe_options(registry: Registry | None = None) -> dict[str, Any]:
    """Returns every option of loading and sampling, and every component with its fields, JSON-ready.

    An option has a `type`, a `default`, the `flags` of the command line (none where only Python has it), a
    `help` text, and where they exist `minimum`, `maximum`, `choices` and the `kind` of its component. A
    default of null leaves the choice to the model.
    """
    registry = registry or get_registry()
    return {
        "load": _record(LoadOptions, registry),
        "sample": _record(SampleOptions, registry),
        "components": {kind: _components(kind, registry) for kind in KINDS if kind != "models"},
    }


def _record(record: type, registry: Registry) -> dict[str, Any]:
    return {field.name: _option(field, registry) for field in dataclasses.fields(record)}


def _option(field: Any, registry: Registry) -> dict[str, Any]:
    kind = "models" if field.name == "model" else field.metadata["kind"]
    choices = list(field.metadata["choices"]) or (sorted(registry.components(kind)) if kind else None)
    told = {
        "type": _type_name(str(field.type), field.metadata["kind"]),
        "default": to_dict(field.default),
        "flags": list(field.metadata["flags"]),
        "help": field.metadata["help"],
        "minimum": field.metadata["low"],
        "maximum": field.metadata["high"],
        "choices": choices,
        "kind": kind,
    }
    return {name: value for name, value in told.items() if value is not None or name == "default"}


def _type_name(written: str, kind: str | None) -> str:
    """Returns the JSON type of an option from its annotation."""
    if kind is not None:
        return "component"
    first = written.split(" ")[0].split("[")[0]
    names = {"int": "integer", "float": "number", "bool": "boolean", "tuple": "array", "Any": "function"}
    return names.get(first, "string")


def _components(kind: str, registry: Registry) -> dict[str, Any]:
    return {
        name: {"summary": found.component.summary, "fields": _fields(registry.load(kind, name))}
        for name, found in registry.components(kind).items()
    }


def _fields(config: type[ComponentConfig]) -> dict[str, Any]:
    types = field_types(config)
    fields = dataclasses.fields(typing.cast("Any", config))
    return {field.name: _field(field, types[field.name]) for field in fields if field.init}


def _field(field: Any, annotation: Any) -> dict[str, Any]:
    told = {"type": getattr(annotation, "__name__", str(annotation))}
    if field.default is not dataclasses.MISSING:
        told["default"] = to_dict(field.default)
    if typing.get_origin(annotation) is typing.Literal:
        told["choices"] = list(typing.get_args(annotation))
    return told


def main(argv: Sequence[str]) -> int:
    """Runs `i1 schema`.

    Args:
        argv: the arguments after `schema`.

    Raises:
        UserError: for a mistake on the command line.
    """
    parser = CommandParser(
        prog="i1 schema",
        description="Print every option of sampling and every component with its fields as JSON.",
    )
    parser.parse_args(argv)
    print(json.dumps(describe_options(), indent=2))
    return 0
