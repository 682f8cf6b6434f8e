"""The types that the fields of a configuration may have."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from i1_hooks.component import ComponentConfig
from i1_hooks.errors import UserError

SCALARS = (bool, int, float, str)


@functools.cache
def field_types(config_class: type) -> dict[str, object]:
    """Returns the resolved type of every constructor field of a configuration class.

    Raises:
        UserError: for a class that is no dataclass, or a field whose type JSON cannot give back.
    """
    name = f"{config_class.__module__}.{config_class.__qualname__}"
    if not dataclasses.is_dataclass(config_class):
        raise UserError(f"{name} is not a dataclass: write @dataclass(frozen=True, kw_only=True) above it")
    try:
        hints = typing.get_type_hints(config_class)
    except NameError as error:
        raise UserError(
            f"{name}: the type of a field cannot be resolved, {error}; import it outside of TYPE_CHECKING"
        ) from error
    found = {field.name: hints[field.name] for field in dataclasses.fields(config_class) if field.init}
    for field, annotation in found.items():
        if fix := _fix(annotation):
            shown = getattr(annotation, "__name__", None) if isinstance(annotation, type) else None
            if typing.get_args(annotation):
                shown = None
            raise UserError(f"{name}.{field}: JSON cannot give back {shown or annotation}; {fix}")
    return found


def _fix(annotation: object) -> str:
    """Returns what to write instead of a type that a configuration cannot hold, nothing for one it can."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (Any, None, type(None), *SCALARS):
        return ""
    if origin in (Union, types.UnionType):
        return next(filter(None, map(_fix, arguments)), "")
    if origin is Literal:
        plain = all(choice is None or isinstance(choice, SCALARS) for choice in arguments)
        return "" if plain else "use strings or numbers in a Literal"
    if origin is tuple:
        return next(filter(None, (_fix(part) for part in arguments if part is not Ellipsis)), "")
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "use str for its keys" if arguments[0] is not str else _fix(arguments[1])
    if isinstance(annotation, type) and issubclass(annotation, ComponentConfig):
        return "" if hasattr(annotation, "kind") else "declare the kind of that base class"
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return ""
    if annotation in (list, tuple, set, frozenset) or origin in (list, set, frozenset):
        element = getattr(arguments[0], "__name__", arguments[0]) if arguments else "int"
        return f"use tuple[{element}, ...]"
    return "use bool, int, float, str, Literal, a tuple, a dict with str keys, a dataclass or a slot"
