"""The command `i1 data`: its subcommands."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from i1_hooks import unknown

COMMANDS = {
    "check": "list every record of a source that cannot be read",
    "inspect": "show sizes, captions and pictures of a source on a page",
    "list": "the sets that i1 was trained on",
    "prepare": "write a source as sharded records of one size",
}


def main(argv: Sequence[str]) -> int:
    """Runs `i1 data COMMAND ...`.

    Raises:
        UserError: for an unknown command, and what the command raises.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: i1 data COMMAND ...\n\nPrepare and look at training data.\n")
        width = max(map(len, COMMANDS))
        print("\n".join(f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items()))
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        raise unknown("command of `i1 data`", argv[0], COMMANDS)
    return importlib.import_module(f"i1_data.commands.{argv[0]}").main(argv[1:])
