"""The command `i1 train`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from i1_hooks import CommandParser

EPILOG = """\
Running the same command again goes on where the run stopped. `steps`, `checkpoint_every` and `seed` are
fields of every recipe; `i1 plugins` lists the recipes. Compiled programs are kept in $XDG_CACHE_HOME/i1/jax
(~/.cache/i1/jax); JAX_COMPILATION_CACHE_DIR chooses another folder."""


def main(argv: Sequence[str]) -> int:
    """Trains a recipe.

    Returns:
        0 when done, 1 when the run was interrupted (the state is saved) or its loss is not finite.

    Raises:
        UserError: for an unknown recipe, a setting that does not fit, or a workdir that cannot be used.
    """
    parser = CommandParser(
        prog="i1 train",
        description="Train a recipe, or go on with it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a recipe")
    parser.add_argument("--workdir", metavar="D", help="folder of the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="assignments",
        metavar="PATH=VALUE",
        help="change a field of the recipe, as in --set model.backbone.depth=7; may be given several times",
    )
    parser.add_argument("--show", action="store_true", help="print the resolved recipe as JSON and leave")
    arguments = parser.parse_args(argv)

    from i1_train.recipes import load_recipe

    config = load_recipe(arguments.recipe, arguments.assignments)
    if arguments.show:
        from i1_hooks import to_json

        print(to_json(config), end="")
        return 0
    if arguments.workdir is None:
        parser.error("--workdir is missing: name a folder for the run, as in --workdir runs/first")
    return run(config, arguments.workdir, ["i1", "train", *argv])


def run(config, workdir: str, command: Sequence[str]) -> int:
    """Trains and prints how it ended."""
    from i1_train.compilation_cache import enable_compilation_cache
    from i1_train.host_memory import keep_host_memory
    from i1_train.loop import train
    from i1_train.metrics import NotFiniteError
    from i1_train.signals import RunInterruptedError

    enable_compilation_cache()
    keep_host_memory()
    try:
        step = train(config, workdir)
    except RunInterruptedError as stop:
        print(f"i1: {stop}; go on with: {shlex.join(command)}", file=sys.stderr)
        return 1
    except NotFiniteError as error:
        print(f"i1: error: {error}", file=sys.stderr)
        return 1
    model = shlex.quote(f"{workdir}/checkpoints/{step}/model")
    print(f"done: {step} steps in {workdir}; sample with: i1 sample PROMPT --model {model}")
    return 0
