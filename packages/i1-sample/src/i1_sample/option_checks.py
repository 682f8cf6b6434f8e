"""Checks of the fields of records of options: their types and ranges."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from i1_hooks import UserError, unknown


def check_fields(record: Any) -> None:
    """Checks the type and the range of every field of a record of options.

    Raises:
        UserError: for the first that does not fit, naming the field and what it may be.
    """
    for field in dataclasses.fields(record):
        value, written = getattr(record, field.name), str(field.type)
        low, high, choices = (field.metadata[name] for name in ("low", "high", "choices"))
        if value is None and written.endswith("None"):
            continue
        if written.startswith("int"):
            check_integer(field.name, value, low, high)
        elif written.startswith("float"):
            _check_number(field.name, value, low, high)
        elif written == "Any":
            if not (value is None or callable(value)):
                expected = "a function of an array's path and shape"
                raise UserError(f"{field.name} must be {expected}, got {value!r}")
        elif written.startswith("bool"):
            if not isinstance(value, bool):
                raise UserError(f"{field.name} must be true or false, got {value!r}")
        elif choices:
            if value not in choices:
                raise unknown(field.name, str(value), choices)
        elif written.startswith("str | tuple"):
            texts = (value,) if isinstance(value, str) else value
            if not isinstance(texts, tuple) or not all(
                text is None or isinstance(text, str) for text in texts
            ):
                raise UserError(f"{field.name} must be text or one text per prompt, got {value!r}")
        elif written.startswith("str") and not isinstance(value, str):
            raise UserError(f"{field.name} must be text, got {value!r}")


def check_integer(name: str, value: Any, low: int | None, high: int | None = None) -> None:
    """Checks an integer option.

    Raises:
        UserError: unless the value is an `int` from `low` to `high`.
    """
    fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits or (low is not None and value < low) or (high is not None and value > high):
        raise UserError(f"{name} must be an integer{_bounds(low, high)}, got {value!r}")


def _check_number(name: str, value: Any, low: float | None, high: float | None) -> None:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or (low is not None and value < low) or (high is not None and value > high):
        raise UserError(f"{name} must be a finite number{_bounds(low, high)}, got {value!r}")


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return ""
    return f" of at least {low}" if high is None else f" from {low} to {high}"
