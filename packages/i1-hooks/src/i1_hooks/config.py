"""Configurations as JSON, there and back, checked against the types."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from i1_hooks.component import ComponentConfig, slot_of
from i1_hooks.errors import UserError, unknown
from i1_hooks.registry import Registry, get_registry

ConfigT = TypeVar("ConfigT")
COMPONENT = "component"
"""The JSON key that names the component filling a slot."""


def to_dict(config: Any, registry: Registry | None = None) -> Any:
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
        return {COMPONENT: name, **_fields_to_dict(config, registry)}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return _fields_to_dict(config, registry)
    if isinstance(config, (tuple, list)):
        return [to_dict(item, registry) for item in config]
    if isinstance(config, Mapping):
        return {str(key): to_dict(value, registry) for key, value in config.items()}
    if isinstance(config, float) and not math.isfinite(config):
        raise UserError(f"{config!r} cannot be written as configuration: JSON has finite numbers only")
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    raise UserError(f"{type(config).__name__} value {config!r} cannot be written as configuration")


def _fields_to_dict(config: Any, registry: Registry) -> dict[str, Any]:
    return {f.name: to_dict(getattr(config, f.name), registry) for f in dataclasses.fields(config) if f.init}


def from_dict(annotation: Any, data: Any, path: str = "", registry: Registry | None = None) -> Any:
    """Builds a value of the annotated type from JSON data; the inverse of `to_dict`.

    Args:
        annotation: a dataclass, a slot base class, or a type such as `tuple[int, ...]` or `float | None`.
        data: what `json.loads` gave.
        path: where in the whole configuration this value sits, for messages.
        registry: where component names are looked up; the process-wide one by default.

    Raises:
        UserError: naming the path, the value and what was expected.
    """
    registry = registry or get_registry()
    origin = typing.get_origin(annotation)
    if annotation is Any:
        return data
    if origin in (Union, types.UnionType):
        return _from_union(annotation, data, path, registry)
    if origin is Literal:
        for choice in typing.get_args(annotation):
            if type(data) is type(choice) and data == choice:
                return choice
        raise unknown(f"value for {path!r}", str(data), [str(c) for c in typing.get_args(annotation)])
    if origin is tuple:
        return _from_tuple(annotation, data, path, registry)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(data, Mapping):
            raise _mismatch(path, "a JSON object", data)
        value_type = typing.get_args(annotation)[1]
        return {k: from_dict(value_type, v, f"{path}.{k}", registry) for k, v in data.items()}
    if isinstance(annotation, type) and issubclass(annotation, ComponentConfig):
        return _from_slot(annotation, data, path, registry)
    if dataclasses.is_dataclass(annotation):
        return _from_fields(annotation, data, path, registry)
    return _from_scalar(annotation, data, path)


def _mismatch(path: str, expected: str, data: Any) -> UserError:
    return UserError(f"{path or 'value'}: expected {expected}, got {json.dumps(data, default=str)}")


def _from_union(annotation: Any, data: Any, path: str, registry: Registry) -> Any:
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


def _from_tuple(annotation: Any, data: Any, path: str, registry: Registry) -> tuple[Any, ...]:
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


def _from_slot(base: type[ComponentConfig], data: Any, path: str, registry: Registry) -> Any:
    if isinstance(data, str):
        data = {COMPONENT: data}
    if not isinstance(data, Mapping) or COMPONENT not in data:
        raise _mismatch(
            path, f"the name of one of the {base.kind} or an object with a {COMPONENT!r} key", data
        )
    config_class = registry.load(base.kind, data[COMPONENT])
    if not (isinstance(config_class, type) and issubclass(config_class, base)):
        raise UserError(
            f"{path}: component {data[COMPONENT]!r} of kind {base.kind} is {config_class!r}, "
            f"not a subclass of {base.__module__}.{base.__qualname__}"
        )
    return _from_fields(config_class, {k: v for k, v in data.items() if k != COMPONENT}, path, registry)


def _from_fields(config_class: Any, data: Any, path: str, registry: Registry) -> Any:
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


def construct(config_class: Any, values: Mapping[str, Any], path: str) -> Any:
    """Calls the constructor; what it refuses becomes a `UserError` that names the path."""
    try:
        return config_class(**values)
    except ValueError as error:
        raise UserError(f"{path}: {error}" if path else str(error)) from error


def _from_scalar(annotation: Any, data: Any, path: str) -> Any:
    if annotation is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if annotation is float and isinstance(data, float) and not math.isfinite(data):
        raise _mismatch(path, "a finite number", data)
    if annotation in (bool, int, float, str) and type(data) is annotation:
        return data
    raise _mismatch(path, getattr(annotation, "__name__", str(annotation)), data)


@functools.cache
def field_types(config_class: type) -> dict[str, Any]:
    """Returns the resolved type of every constructor field of a dataclass."""
    hints = typing.get_type_hints(config_class)
    return {f.name: hints[f.name] for f in dataclasses.fields(config_class) if f.init}


def join(path: str, name: str) -> str:
    """Returns the path of a field inside the value at `path`."""
    return f"{path}.{name}" if path else name


def to_json(config: Any, registry: Registry | None = None) -> str:
    """Returns the configuration as indented JSON text with a final newline."""
    return json.dumps(to_dict(config, registry), indent=2) + "\n"


def check_round_trip(config: Any, registry: Registry | None = None) -> None:
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


def _difference(config: Any, again: Any, path: str) -> str:
    """Returns the sentence that names the innermost field in which two values differ."""
    if type(config) is type(again):
        if dataclasses.is_dataclass(config) and not isinstance(config, type):
            for field in dataclasses.fields(config):
                one, other = getattr(config, field.name), getattr(again, field.name)
                if one != other:
                    return _difference(one, other, join(path, field.name))
        if isinstance(config, tuple) and len(config) == len(again):
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
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"not JSON: {error}") from error
    return from_dict(config_class, data, registry=registry)
