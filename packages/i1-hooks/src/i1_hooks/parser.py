"""The argument parser of commands, which reports a mistake in one line that names the choices."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from i1_hooks.errors import UserError, unknown


class CommandParser(argparse.ArgumentParser):
    """An argparse parser that raises `UserError` where argparse prints its usage and exits.

    Abbreviated options are refused.

    Args:
        prog: the command as users write it, for example `"i1 sample"`.
        **options: as for `argparse.ArgumentParser`.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog=prog, allow_abbrev=False, **options)

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] (commands always pass their arguments)
        """Returns the parsed arguments.

        Raises:
            UserError: for arguments that do not fit.
        """
        parsed, rest = self.parse_known_args(args, namespace)
        for argument in rest:
            if argument.startswith("-") and argument != "--":
                options = [name for action in self._actions for name in action.option_strings]
                raise unknown(f"option of `{self.prog}`", argument.partition("=")[0], options)
        if rest:
            self.error(f"unexpected argument {rest[0]!r}")
        return parsed

    def error(self, message: str) -> NoReturn:
        """Raises the message as a `UserError`."""
        raise UserError(f"{self.prog}: {message}; `{self.prog} --help` lists the options")
