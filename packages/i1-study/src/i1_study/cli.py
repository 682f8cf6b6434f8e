"""The command `i1 study`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from i1_hooks import CommandParser, UserError, get_registry

EPILOG = """\
Running the same command again does only what is missing: finished trials are kept, an interrupted one
resumes, and studies in one workdir share equal trials."""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `i1 study`."""
    studies = get_registry().components("studies")
    described = "; ".join(f"{name}: {found.component.summary}" for name, found in studies.items())
    parser = CommandParser(
        prog="i1 study",
        description="Train recipes that differ in one axis on small pictures, score them, and compare.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("study", metavar="STUDY", help=described)
    add(
        "--workdir",
        type=Path,
        default=Path("studies"),
        metavar="D",
        help="folder of the runs and summaries (default: studies)",
    )
    add("--steps", type=int, metavar="N", help="training steps of every arm (default: the recipe's)")
    add("--seeds", type=int, default=3, metavar="N", help="runs of every arm (default: 3)")
    add(
        "--images-per-category",
        type=int,
        default=25,
        metavar="N",
        help="pictures of each category and split that score a run (default: 25)",
    )
    add(
        "--set",
        action="append",
        default=[],
        dest="assignments",
        metavar="PATH=VALUE",
        help="change a field of every arm's recipe, as in --set model.backbone.hidden_width=96",
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs `i1 study`.

    Returns:
        0 when done, 1 when the study was interrupted (the state is saved).

    Raises:
        UserError: for an unknown study, a setting that does not fit, or a folder that cannot be used.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    for flag in ("seeds", "images_per_category"):
        if getattr(arguments, flag) < 1:
            value = getattr(arguments, flag)
            parser.error(f"--{flag.replace('_', '-')} {value}: expected at least 1")
    assignments = list(arguments.assignments)
    if arguments.steps is not None:
        assignments.append(f"steps={arguments.steps}")
    study = get_registry().load("studies", arguments.study)()

    from i1_model.ops.compilation_cache import enable_compilation_cache
    from i1_train.process.host_memory import keep_host_memory
    from i1_train.process.signals import RunInterruptedError

    from i1_study.base import StudyConfig
    from i1_study.report import markdown
    from i1_study.runner import run_study

    if not isinstance(study, StudyConfig):
        raise UserError(f"study {arguments.study!r} is {type(study).__name__}, expected i1_study.StudyConfig")
    enable_compilation_cache()
    keep_host_memory()
    try:
        record = run_study(
            arguments.study,
            study,
            workdir=arguments.workdir,
            seeds=arguments.seeds,
            images_per_category=arguments.images_per_category,
            assignments=assignments,
        )
    except RunInterruptedError as stop:
        again = shlex.join(["i1", "study", *argv])
        print(f"i1: {stop}; go on with: {again}", file=sys.stderr)
        return 1
    print(markdown(record), end="")
    print(f"wrote {arguments.workdir / arguments.study}/study.json, study.md and study.svg")
    return 0
