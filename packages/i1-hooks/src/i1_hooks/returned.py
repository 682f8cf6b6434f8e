"""The error for a component that returns something else than its contract says."""

from __future__ import annotations

from collections.abc import Mapping

from i1_hooks.component import ComponentConfig
from i1_hooks.errors import UserError
from i1_hooks.records import noun
from i1_hooks.registry import get_registry
from i1_hooks.text import one_line, shorten

LONGEST = 80
"""Characters of a value that a message shows."""


def wrong_return(config: ComponentConfig, call: str, got: object, expected: str) -> UserError:
    """Returns the error for a component that returned something wrong.

    It reads as `adapter 'x' (foo 1.2): build(...) returned float32 (4, 3, 32), expected float32 (4, 32, 32)`.

    Args:
        config: the configuration of the component.
        call: what was called, for example `"build(...)"`.
        got: what it returned: an array, also while tracing, or anything else.
        expected: what the contract says, for example `"float32 (4, 32, 32)"`.
    """
    return UserError(
        f"{_title(config)} ({distribution_of(config)}): {call} returned {describe(got)}, expected {expected}"
    )


def distribution_of(config: ComponentConfig) -> str:
    """Returns the distribution and version that offer a component, or its module when no plugin does."""
    registered = get_registry().registered(type(config))
    if registered is None:
        return type(config).__module__
    return f"{registered.distribution} {registered.version}"


def _title(config: ComponentConfig) -> str:
    registered = get_registry().registered(type(config))
    kind = getattr(config, "kind", None)
    name = type(config).__qualname__ if registered is None else registered.component.name
    return f"{noun(kind) if kind else 'component'} {name!r}"


def describe(value: object) -> str:
    """Returns what a message calls a value: dtype and shape of an array, else its type with a short form."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"{getattr(dtype, 'name', dtype)} {tuple(shape)}"
    if value is None or isinstance(value, type):
        return _short(value)
    name = type(value).__name__
    if isinstance(value, Mapping):
        items = ", ".join(f"{key!r}: {describe(item)}" for key, item in value.items())
        return shorten(f"{name} of {items}", LONGEST)
    if isinstance(value, (tuple, list)) and value:
        items = ", ".join(describe(item) for item in value[:8])
        return shorten(f"{name} of {items}", LONGEST)
    return f"{name} {_short(value)}"


def _short(value: object) -> str:
    try:
        return shorten(one_line(repr(value)), LONGEST)
    except Exception:  # the value comes from a faulty component, whose `repr` may fail as well
        return "without a repr"
