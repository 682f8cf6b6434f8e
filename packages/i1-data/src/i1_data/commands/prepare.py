"""`i1 data prepare`: a source becomes sharded records."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from i1_hooks import CommandParser, UserError
from i1_hooks.files import user_path

from i1_data.buckets import Size, aspect_buckets
from i1_data.commands.components import SOURCE_HELP, parse_filter, parse_source
from i1_data.preparation.prepare import prepare
from i1_data.preparation.settings import Preparation
from i1_data.preparation.shard import Row


def main(argv: Sequence[str]) -> int:
    """Runs `i1 data prepare`; returns 0.

    Raises:
        UserError: for a mistake on the command line, and what `prepare` raises.
    """
    parser = CommandParser(
        prog="i1 data prepare",
        description="Write a source as sharded ArrayRecord files of one size, with a manifest. Run it again "
        "after an interruption: what is there stays.",
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help=SOURCE_HELP)
    add("output", metavar="OUT", help="folder of the prepared set")
    add("--resolution", type=int, required=True, metavar="N", help="edge of the pictures, in pixels")
    add(
        "--buckets",
        metavar="SIZES",
        help="'aspect' for about N x N pixels in nine aspects, or HEIGHTxWIDTH,... (default: squares)",
    )
    add(
        "--filter",
        action="append",
        default=[],
        metavar="F",
        help="NAME, NAME:FIELD=VALUE,... or JSON; repeatable",
    )
    add("--storage", choices=("png", "webp", "jpeg"), default="png", help="of the pictures (default: png)")
    add(
        "--background",
        metavar="COLOUR",
        help="behind transparent pixels, as '#ffffff' (default: alpha is dropped)",
    )
    add("--records-per-shard", type=int, default=1000, metavar="N", help="(default: 1000)")
    add("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    add("--skip-broken", action="store_true", help="leave out what cannot be read; the manifest lists it")
    arguments = parser.parse_args(argv)
    settings = Preparation(
        source=parse_source(arguments.source, strict=not arguments.skip_broken),
        resolution=arguments.resolution,
        buckets=_buckets(arguments.buckets, arguments.resolution),
        filters=tuple(parse_filter(text) for text in arguments.filter),
        storage=arguments.storage,
        background=_colour(arguments.background),
        records_per_shard=arguments.records_per_shard,
    )
    manifest = prepare(settings, user_path(arguments.output), workers=arguments.workers, report=_report)
    print(summary(manifest))
    return 0


def summary(manifest: dict[str, object]) -> str:
    """Returns what became of the records, in one line."""
    dropped = manifest["dropped"]
    assert isinstance(dropped, dict)
    parts = [f"{manifest['records']} of {manifest['source_records']} records"]
    parts += [f"{count} removed by {name.partition(' ')[2]}" for name, count in dropped.items()]
    parts += [f"{manifest[name]} {name}" for name in ("unreadable", "enlarged") if manifest[name]]
    return ", ".join(parts)


def _report(done: int, total: int, row: Row) -> None:
    print(f"{done}/{total} {row.shard}: {row.records} records", file=sys.stderr)


def _buckets(text: str | None, resolution: int) -> tuple[Size, ...]:
    if text is None:
        return ()
    if text == "aspect":
        return aspect_buckets(resolution)
    sizes = [re.fullmatch(r"(\d{1,6})x(\d{1,6})", size) for size in text.split(",")]
    if not all(sizes):
        raise UserError(f"--buckets {text!r}: expected 'aspect' or sizes such as 512x512,624x416")
    return tuple((int(size[1]), int(size[2])) for size in sizes if size)


def _colour(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"#?([0-9a-fA-F]{6})", text)
    if found is None:
        raise UserError(f"--background {text!r}: expected a colour such as '#ffffff'")
    red, green, blue = bytes.fromhex(found[1])
    return red, green, blue
