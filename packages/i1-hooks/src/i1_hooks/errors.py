"""The exception for mistakes that the user can fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from i1_hooks.text import shorten


class UserError(ValueError):
    """A mistake in what the user gave; the command line prints it as one line and exits with status 2."""


def unknown(what: str, value: str, choices: Iterable[str], *, note: str = "") -> UserError:
    """Returns the error for a name that does not exist, with similar names and all choices.

    Args:
        what: what the name stands for, such as `"recipe"`.
        value: what the user wrote.
        choices: what exists.
        note: a sentence to add, for example about plugins that failed to load.
    """
    names, value = sorted(choices), shorten(value)
    near = difflib.get_close_matches(value, names, n=3)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ";"
    listed = ", ".join(names) if names else "none"
    return UserError(f"unknown {what} {value!r}{hint} choices: {listed}{'. ' + note if note else ''}")
