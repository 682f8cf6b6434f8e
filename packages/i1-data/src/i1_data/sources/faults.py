"""What is wrong with the files of a source: fatal, or left out with a warning, as its `strict` says."""

from __future__ import annotations

import logging

from i1_hooks import UserError
from i1_hooks.text import one_line

SHOWN = 3
"""How many faults of a kind a warning names."""

_logger = logging.getLogger(__name__)


class Faults:
    """Collects what is wrong with a source while it is opened; `conclude` then raises or warns.

    Args:
        source: how messages begin, for example `"image_folder 'cats'"`.
        strict: whether a fault is an error. Otherwise what is faulty is left out.
    """

    def __init__(self, source: str, *, strict: bool) -> None:
        self._source = source
        self._strict = strict
        self._found: dict[str, list[str]] = {}

    def add(self, what: str, message: str) -> None:
        """Notes a fault.

        Args:
            what: the kind, which follows its number: `"captions without an image"`.
            message: what is wrong where, and how it is mended.
        """
        self._found.setdefault(what, []).append(message)

    @property
    def count(self) -> int:
        """Returns how many faults were noted."""
        return sum(map(len, self._found.values()))

    def conclude(self) -> None:
        """Raises the first fault with the number of its kind, or logs a warning for every kind.

        Raises:
            UserError: for a strict source with a fault.
        """
        for what, messages in self._found.items():
            if self._strict:
                others = f" ({len(messages)} {what})" if len(messages) > 1 else ""
                raise UserError(
                    f"{self._source}: {messages[0]}, or set strict=false to leave such records out{others}"
                )
            shown = " | ".join(messages[:SHOWN])
            _logger.warning(
                "%s", one_line(f"{self._source}: left out, {len(messages)} {what}: {shown}".strip())
            )


def printable(name: str) -> str:
    """Returns a file name as text, with escapes for bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
