"""Configurations as JSON, checked against their types when they are read."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, overload

from i1_hooks.annotations import SCALARS, field_types
from i1_hooks.component import ComponentConfig, slot_of
from i1_hooks.errors import UserError, unknown
from i1_hooks.files import parse_json
from i1_hooks.registry import Registry, get_registry
from i1_hooks.text import shorten

ConfigT = TypeVar("ConfigT")
COMPONENT = "component"
"""The JSON key that names the component filling a slot."""


def to_dict(config: object, registry: Registry | None = None) -> Any:
    """Turns a configuration into JSON-ready data.

    Args:
        config: a dataclass instance, a tuple, a mapping with string keys, or a plain value.
        registry: where component names are looked up; the process-wide one by default.

    Raises:
        UserError: for a value that JSON cannot hold or a slot filled with an unregistered class.
    """
    registry = registry or get_registry()
    if isinstance(config, ComponentConfig):
        name = registry.name_of(type(config))
        return {COMPONENT: name, **_fields_to_dict(config, field_types(type(config)), registry)}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        names = [field.name for field in dataclasses.fields(config) if field.init]
        return _fields_to_dict(config, names, registry)
    if isinstance(config, (tuple, list)):
        return [to_dict(item, registry) for item in config]
    if isinstance(config, Mapping):
        return {str(key): to_dict(value, registry) for key, value in config.items()}
    if isinstance(config, float) and not math.isfinite(config):
        raise UserError(f"{config!r} cannot be written as configuration: JSON has finite numbers only")
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    raise UserError(f"{type(config).__name__} value {config!r} cannot be written as configuration")


def _fields_to_dict(config: object, names: Iterable[str], registry: Registry) -> dict[str, object]:
    return {name: to_dict(getattr(config, name), registry) for name in names}


@overload
def from_dict(
    annotation: type[ConfigT], data: object, path: str = "", registry: Registry | None = None
) -> ConfigT: ...
@overload
def from_dict(annotation: object, data: object, path: str = "", registry: Registry | None = None) -> Any: ...
def from_dict(annotation: object, data: object, path: str = "", registry: Registry | None = None) -> object:
    """Builds a value of the annotated type from JSON data; the inverse of `to_dict`.

    Args:
        annotation: a dataclass, a slot base class, or a type such as `tuple[int, ...]` or `float | None`.
        data: what `json.loads` gave.
        path: the place of this value in the whole configuration, for messages.
        registry: where component names are looked up; the process-wide one by default.

    Raises:
        UserError: naming the path, the value and what was expected.
    """
    registry = registry or get_registry()
    origin = typing.get_origin(annotation)
    if annotation is Any:
        return _from_any(data, path)
    if annotation is type(None):
        return _from_none(data, path)
    if origin in (Union, types.UnionType):
        return _from_union(annotation, data, path, registry)
    if origin is Literal:
        for choice in typing.get_args(annotation):
            if type(data) is type(choice) and data == choice:
                return choice
        choices = [str(choice) for choice in typing.get_args(annotation)]
        raise unknown(f"value for {path!r}", data if isinstance(data, str) else _shown(data), choices)
    if origin is tuple:
        return _from_tuple(annotation, data, path, registry)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(data, Mapping):
            raise _mismatch(path, "a JSON object", data)
        value_type = typing.get_args(annotation)[1]
        return {k: from_dict(value_type, v, f"{path}.{k}", registry) for k, v in data.items()}
    if isinstance(annotation, type) and issubclass(annotation, ComponentConfig):
        return _from_slot(annotation, data, path, registry)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _from_fields(annotation, data, path, registry)
    return _from_scalar(annotation, data, path)


def _mismatch(path: str, expected: str, data: object) -> UserError:
    return UserError(f"{path or 'value'}: expected {expected}, got {_shown(data)}")


def _shown(data: object) -> str:
    """Returns a value as messages show it: its JSON, cut when long."""
    try:
        return shorten(json.dumps(data, default=str))
    except (ValueError, TypeError, RecursionError):  # an integer of thousands of digits, or no JSON at all
        return f"a value of type {type(data).__name__}"


def _from_none(data: object, path: str) -> None:
    if data is not None:
        raise _mismatch(path, "null", data)


def _from_any(data: object, path: str) -> object:
    """Returns data as it is when JSON can hold it."""
    if isinstance(data, Mapping):
        return {key: _from_any(value, join(path, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [_from_any(item, join(path, str(index))) for index, item in enumerate(data)]
    if data is None or type(data) in (bool, str):
        return data
    if type(data) in (int, float):
        return _from_scalar(type(data), data, path)
    raise _mismatch(path, "data that JSON can hold", data)


def _from_union(annotation: object, data: object, path: str, registry: Registry) -> object:
    options = typing.get_args(annotation)
    if data is None and type(None) in options:
        return None
    errors: list[UserError] = []
    for option in options:
        if option is type(None):
            continue
        try:
            return from_dict(option, data, path, registry)
        except UserError as error:
            errors.append(error)
    raise errors[0] if len(errors) == 1 else _mismatch(path, str(annotation), data)


def _from_tuple(annotation: object, data: object, path: str, registry: Registry) -> tuple[object, ...]:
    if not isinstance(data, (list, tuple)):
        raise _mismatch(path, "a list", data)
    arguments = typing.get_args(annotation)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(data)
    if len(arguments) != len(data):
        raise _mismatch(path, f"a list of {len(arguments)}", data)
    return tuple(
        from_dict(a, d, f"{path}.{i}", registry) for i, (a, d) in enumerate(zip(arguments, data, strict=True))
    )


def _from_slot(base: type[ComponentConfig], data: object, path: str, registry: Registry) -> object:
    if isinstance(data, str):
        data = {COMPONENT: data}
    if not isinstance(data, Mapping) or COMPONENT not in data:
        raise _mismatch(
            path, f"the name of one of the {base.kind} or an object with a {COMPONENT!r} key", data
        )
    if not isinstance(data[COMPONENT], str):
        raise _mismatch(join(path, COMPONENT), f"the name of one of the {base.kind}", data[COMPONENT])
    try:
        config_class = registry.load(base.kind, data[COMPONENT])
    except UserError as error:
        raise UserError(f"{path}: {error}" if path else str(error)) from error
    if not (isinstance(config_class, type) and issubclass(config_class, base)):
        raise UserError(
            f"{path}: component {data[COMPONENT]!r} of kind {base.kind} is {config_class!r}, "
            f"not a subclass of {base.__module__}.{base.__qualname__}"
        )
    return _from_fields(config_class, {k: v for k, v in data.items() if k != COMPONENT}, path, registry)


def _from_fields(config_class: type, data: object, path: str, registry: Registry) -> object:
    if not isinstance(data, Mapping):
        raise _mismatch(path, "a JSON object", data)
    hints = field_types(config_class)
    for key in data:
        if key not in hints:
            raise unknown("config path", join(path, key), [join(path, name) for name in hints])
    values = {k: from_dict(hints[k], v, join(path, k), registry) for k, v in data.items()}
    missing = [
        f.name
        for f in dataclasses.fields(config_class)
        if f.init
        and f.name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{path or config_class.__name__}: missing {', '.join(missing)}")
    return construct(config_class, values, path)


def construct(config_class: type[ConfigT], values: Mapping[str, object], path: str) -> ConfigT:
    """Calls the constructor; what it refuses becomes a `UserError` that names the path."""
    try:
        return config_class(**values)
    except ValueError as error:
        raise UserError(f"{path}: {error}" if path else str(error)) from error
    except Exception as error:  # a check of a plugin may fail in any way, for example divide by zero
        name = f"{config_class.__module__}.{config_class.__qualname__}"
        reason = f"{name} cannot be made of these values: {type(error).__name__}: {error}"
        raise UserError(f"{path}: {reason}" if path else reason) from error


def _from_scalar(annotation: object, data: object, path: str) -> object:
    if annotation in (int, float) and type(data) is int and not -(2**63) <= data < 2**63:
        raise _mismatch(path, "an integer of 64 bits" if annotation is int else "a finite number", data)
    if annotation is float and type(data) is int:
        return float(data)
    if annotation is float and isinstance(data, float) and not math.isfinite(data):
        raise _mismatch(path, "a finite number", data)
    if annotation in SCALARS and type(data) is annotation:
        return data
    raise _mismatch(path, getattr(annotation, "__name__", str(annotation)), data)


def join(path: str, name: str) -> str:
    """Returns the path of a field inside the value at `path`."""
    return f"{path}.{name}" if path else name


def to_json(config: object, registry: Registry | None = None) -> str:
    """Returns the configuration as indented JSON text with a final newline."""
    return json.dumps(to_dict(config, registry), indent=2) + "\n"


def check_round_trip(config: object, registry: Registry | None = None) -> None:
    """Checks that a configuration is the same after it was written as JSON and read back.

    Whoever writes a configuration next to trained parameters checks this first: what cannot be read back
    makes the parameters useless.

    Args:
        config: a dataclass instance; a component is read through the base class of its kind.
        registry: where component names are looked up; the process-wide one by default.

    Raises:
        UserError: naming the field that cannot be written, cannot be read, or changes.
    """
    base = slot_of(type(config)) if isinstance(config, ComponentConfig) else type(config)
    again = from_json(base, to_json(config, registry), registry)
    if again != config:
        raise UserError(_difference(config, again, ""))


def _difference(config: object, again: object, path: str) -> str:
    """Returns the sentence that names the innermost field in which two values differ."""
    if type(config) is type(again):
        if dataclasses.is_dataclass(config) and not isinstance(config, type):
            for field in dataclasses.fields(config):
                one, other = getattr(config, field.name), getattr(again, field.name)
                if one != other:
                    return _difference(one, other, join(path, field.name))
        if isinstance(config, tuple) and isinstance(again, tuple) and len(config) == len(again):
            for index, (one, other) in enumerate(zip(config, again, strict=True)):
                if one != other:
                    return _difference(one, other, join(path, str(index)))
    return (
        f"{path or type(config).__name__}: {config!r} becomes {again!r} when it is written as JSON and read "
        "back; give the field a type that JSON can hold, such as tuple[int, ...] for a list"
    )


def from_json(config_class: type[ConfigT], text: str, registry: Registry | None = None) -> ConfigT:
    """Reads what `to_json` wrote.

    Raises:
        UserError: for text that is not JSON or does not fit the class.
    """
    return from_dict(config_class, parse_json(text, "configuration"), registry=registry)
