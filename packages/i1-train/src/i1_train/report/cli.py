"""The command `i1 report`."""

from __future__ import annotations

from collections.abc import Sequence

from i1_hooks import CommandParser


def main(argv: Sequence[str]) -> int:
    """Writes the report of a run, which may still be running, and prints the path of the report.

    Raises:
        UserError: for a folder that holds no run, or cannot be written.
    """
    parser = CommandParser(
        prog="i1 report",
        description="Write WORKDIR/report.html: curves, images, plugins and recipe of a run in one file.",
    )
    parser.add_argument("workdir", metavar="WORKDIR", help="folder of a run")
    arguments = parser.parse_args(argv)

    from pathlib import Path

    from i1_train.report.page import write_report

    print(write_report(Path(arguments.workdir)))
    return 0
