"""`path=value` assignments, as `--set` takes them, checked against the types of a configuration."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TypeVar, Union, cast

from i1_hooks.annotations import field_types
from i1_hooks.config import construct, from_dict, join
from i1_hooks.errors import UserError, unknown
from i1_hooks.registry import Registry, get_registry

ConfigT = TypeVar("ConfigT")


def override(config: ConfigT, assignments: Sequence[str], registry: Registry | None = None) -> ConfigT:
    """Applies `path=value` assignments in order and returns a new configuration.

    A value is read as JSON where it parses as JSON and as a string otherwise, then checked against the
    field's type. A slot takes a component name (`model.adapter=mlp`, with that component's defaults) or an
    object. A tuple element is addressed by its index (`data.sources.0.weight=2`).

    Raises:
        UserError: for an assignment without `=`, an unknown path (the near ones are shown) or a value that
            does not fit.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Run:
        ...     steps: int = 10
        >>> override(Run(), ["steps=20"]).steps
        20
    """
    registry = registry or get_registry()
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise UserError(f"--set {assignment!r}: expected path=value, for example --set steps=100")
        config = cast("ConfigT", _set_inside(object, config, path.split("."), text, "", registry))
    return config


def _set_inside(
    annotation: object, value: object, parts: list[str], text: str, path: str, registry: Registry
) -> object:
    """Returns `value`, of the annotated type, with `text` assigned to what `parts` address inside it."""
    head, rest = parts[0], parts[1:]
    here = join(path, head)
    kinds = _children(annotation, value)
    if kinds is None:
        raise UserError(f"unknown config path {here!r}: {path!r} holds {value!r}, which has no fields")
    if head not in kinds:
        raise unknown("config path", here, [join(path, name) for name in kinds])
    if rest:
        new = _set_inside(kinds[head], _child(value, head), rest, text, here, registry)
    else:
        new = _parse(kinds[head], text, here, registry)
    if isinstance(value, tuple):
        return tuple(new if str(i) == head else old for i, old in enumerate(value))
    if isinstance(value, Mapping):
        return {**value, head: new}
    fields = {name: getattr(value, name) for name in field_types(type(value))}
    return construct(type(value), {**fields, head: new}, here)


def _children(annotation: object, value: object) -> dict[str, object] | None:
    """Returns the names of the parts of `value` with their types, `None` for a value without parts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return field_types(type(value))
    for option in _options(annotation):
        arguments = typing.get_args(option)
        if isinstance(value, tuple) and typing.get_origin(option) is tuple:
            repeated = len(arguments) == 2 and arguments[1] is Ellipsis
            elements = arguments[:1] * len(value) if repeated else arguments
            return {str(i): element for i, element in enumerate(elements)}
        if isinstance(value, Mapping) and arguments:
            return dict.fromkeys(value, arguments[1])
    return None


def _child(value: object, name: str) -> object:
    if isinstance(value, tuple):
        return value[int(name)]
    return value[name] if isinstance(value, Mapping) else getattr(value, name)


def _options(annotation: object) -> tuple[object, ...]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _parse(annotation: object, text: str, path: str, registry: Registry) -> object:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):  # not JSON, an integer of thousands of digits, nested too deeply
        data = {"True": True, "False": False, "None": None}.get(text, text)
    try:
        return from_dict(annotation, data, path, registry)
    except UserError:
        if str not in _options(annotation) or data is None:
            raise
        return text  # a string field takes any text, also one that reads as JSON, such as `recipe=1`
