"""The command `i1 convert`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from i1_hooks import CommandParser

_EPILOG = """\
SRC is what `i1 sample --model` takes: the name of a registered model, a model folder, a training workdir
(its newest checkpoint) or one of its checkpoints, a folder in the layout of diffusers, a released checkpoint
(checkpoint.npz-STEP, .pt, .safetensors), or a repository on the Hub (owner/name or owner/name@revision). A
LoRA that a run trained is added to its base, and the whole model is written.

DST is new: a folder, or for --to torch a file that ends in .pt.
Arrays are copied bit for bit unless --dtype is given.
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `i1 convert`."""
    parser = CommandParser(
        prog="i1 convert",
        description="Write a model in another form.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", metavar="SRC", help="the model")
    add("destination", metavar="DST", help="what to write")
    add("--to", required=True, choices=("i1", "diffusers", "torch"), help="the form to write")
    add("--weights", choices=("ema", "raw"), default="ema", help="of a training checkpoint (default: ema)")
    add("--resolution", type=int, metavar="N", help="pixels; chooses among published checkpoints")
    add("--dtype", choices=("float32", "bfloat16"), help="of the written arrays (default: as they are)")
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs `i1 convert`.

    Args:
        argv: the arguments after `convert`.

    Raises:
        UserError: for a source that cannot be read or a destination that cannot be written.
    """
    arguments = build_parser().parse_args(argv)

    from i1_model.conversion.convert import convert

    path = convert(
        arguments.source,
        arguments.destination,
        arguments.to,
        weights=arguments.weights,
        resolution=arguments.resolution,
        dtype=arguments.dtype,
        progress=_show if sys.stderr.isatty() else None,
    )
    print(f"wrote {path}")
    return 0


def _show(done: int, total: int) -> None:
    """Shows the progress on one line of a terminal."""
    end = "\n" if done >= total else ""
    print(f"\r{done / 1e9:.1f} of {total / 1e9:.1f} GB", end=end, file=sys.stderr, flush=True)
