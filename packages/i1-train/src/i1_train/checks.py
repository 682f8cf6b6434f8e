"""Checks that several configuration records share."""

from __future__ import annotations

import re
from collections.abc import Iterable

from i1_hooks import UserError


def require_at_least(least: int, config: object, names: Iterable[str], prefix: str = "") -> None:
    """Checks that fields are at least a number.

    Raises:
        UserError: naming the first field that is less.
    """
    for name in names:
        if getattr(config, name) < least:
            raise UserError(f"{prefix}{name} must be at least {least}, got {getattr(config, name)}")


def check_regular_expressions(patterns: Iterable[str]) -> None:
    """Checks that every pattern is a regular expression.

    Raises:
        UserError: naming the first that is not.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(f"{pattern!r} is not a regular expression: {error}") from error
