"""`i1 data check`: every record of a source that cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from i1_hooks import CommandParser, UserError
from i1_hooks.text import one_line

from i1_data import images
from i1_data.commands.components import SOURCE_HELP, parse_source
from i1_data.reading import open_source, read_record


def main(argv: Sequence[str]) -> int:
    """Runs `i1 data check`; returns 1 when something cannot be read, otherwise 0.

    Raises:
        UserError: for a mistake on the command line, and a source that cannot be opened.
    """
    parser = CommandParser(
        prog="i1 data check",
        description="Read and decode every record; list those that cannot be read, with the reason.",
    )
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    arguments = parser.parse_args(argv)
    config = parse_source(arguments.source)
    try:
        source = open_source(config)
    except UserError as error:
        print(one_line(error))
        config = parse_source(arguments.source, strict=False)
        source = open_source(config)
        faults = 1
    else:
        faults = 0
    keys: Counter[str] = Counter()
    for index in range(len(source)):
        try:
            record = read_record(config, source, index)
            keys[record["key"]] += 1
            images.decode(record["image"], name=record["key"])
        except UserError as error:
            faults += 1
            print(one_line(f"record {index}: {error}"))
    for key, count in keys.items():
        if count > 1:
            faults += 1
            print(one_line(f"key {key!r} names {count} records; give each a name of its own"))
    print(f"{len(source)} records, {faults} faults")
    return 1 if faults else 0
