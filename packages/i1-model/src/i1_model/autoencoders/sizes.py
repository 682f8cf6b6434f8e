"""The sizes in the `config.json` of a diffusers autoencoder, checked before a network is built."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

from i1_hooks import UserError, from_dict
from i1_hooks.config import field_types

from i1_model.arrays.json_object import JsonObject

LARGEST_WIDTH = 2**16
"""Channels of a layer."""
LARGEST_DEPTH = 100
"""Residual blocks of a level."""
LARGEST_LEVELS = 10
"""Levels, each of half the sides of the one before."""

SizesT = TypeVar("SizesT")


def read_sizes(kind: type[SizesT], data: JsonObject, fixed: JsonObject) -> SizesT:
    """Returns the sizes in a `config.json`.

    Args:
        kind: a frozen dataclass whose fields are the settings that may vary.
        data: the settings; all but the fields and those in `fixed` are ignored.
        fixed: settings of which the network implements a single value.

    Raises:
        UserError: for a setting of another value or type.
    """
    for name, value in fixed.items():
        if name in data and data[name] != value:
            raise UserError(f"{name} is {data[name]!r}, this autoencoder is implemented for {value!r} only")
    return from_dict(kind, {name: data[name] for name in field_types(kind) if name in data})


def check_range(name: str, values: Iterable[int], largest: int) -> None:
    """Checks that sizes are positive, and not so large that a network of them is never built.

    Raises:
        UserError: naming the setting, the value and the range.
    """
    for value in values:
        if not 1 <= value <= largest:
            raise UserError(f"{name} must be from 1 to {largest}, got {value}")


def read_number(data: JsonObject, name: str, default: float) -> float:
    """Returns a setting that must be a finite number other than 0, because it is a divisor.

    Raises:
        UserError: for anything else.
    """
    value = data.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not value
    ):
        raise UserError(f"{name} is {value!r}, expected a finite number other than 0")
    return float(value)
