"""The command `i1 train`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from i1_hooks import CommandParser

from i1_train.devices.hosts import HostLostError, add_flags, find_cluster, join_cluster

if TYPE_CHECKING:
    from pathlib import Path

    from i1_train.config import TrainConfig

EPILOG = """\
Running the same command again resumes the run where it stopped. `steps`, `checkpoints.every` and `seed` are
fields of every recipe; `i1 plugins` lists the recipes. Compiled programs are kept in $XDG_CACHE_HOME/i1/jax
(~/.cache/i1/jax); JAX_COMPILATION_CACHE_DIR chooses another folder."""

DIGEST = "sha256:"
"""Start of the version of a plugin that is a file without a package."""


def main(argv: Sequence[str]) -> int:
    """Trains a recipe.

    Returns:
        0 when done; 1 when the run was interrupted (its state is saved), its loss is not finite or spikes,
        another host was lost, or a program that was only compiled does not fit.

    Raises:
        UserError: for an unknown recipe, a setting that does not fit, or a workdir that cannot be used.
    """
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.compile_only and arguments.topology is None:
        parser.error("--topology is missing: name a TPU slice, as in --topology v5p:4x4x4")
    if not arguments.compile_only and (arguments.topology or arguments.json or arguments.cached):
        parser.error("--topology, --cached and --json go with --compile-only")
    if arguments.compile_only and len(arguments.recipes) > 1:
        parser.error("--compile-only takes one recipe")
    if arguments.profile < 0:
        parser.error(f"--profile {arguments.profile}: trace at least 1 step")
    if arguments.show:
        from i1_hooks import to_json

        for config in load(arguments):
            print(to_json(config), end="")
        return 0
    if arguments.compile_only:
        (config,) = load(arguments)
        return compile_only(config, arguments.topology, arguments.json, cached=arguments.cached)
    if arguments.workdir is None:
        load(arguments)  # a mistake in the recipe is reported first
        parser.error("--workdir is missing: name a folder for the run, as in --workdir runs/first")

    command = ["i1", *plugin_flags(), "train", *argv]
    cluster = find_cluster(arguments, os.environ)
    try:
        with join_cluster(cluster):  # first, so that all hosts learn of a mistake on one
            return run_stages(load(arguments), arguments.workdir, command, arguments.profile)
    except HostLostError as error:
        print(f"i1: error: {error}", file=sys.stderr)
        return 1


def make_parser() -> CommandParser:
    """Returns the parser of the command."""
    parser = CommandParser(
        prog="i1 train",
        description="Train a recipe, or resume its run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "recipes",
        metavar="RECIPE",
        nargs="+",
        help="name of a recipe; several are the stages of one run, each in WORKDIR/RECIPE and starting from "
        "the previous one",
    )
    parser.add_argument("--workdir", metavar="D", help="folder of the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="assignments",
        metavar="PATH=VALUE",
        help="change a field of every recipe, as in --set model.backbone.depth=7; may be given several times",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--init-from",
        metavar="PATH",
        help="start with the weights of a model folder, a workdir or a released .npz, .pt or safetensors",
    )
    start.add_argument(
        "--from-stage",
        metavar="D",
        help="start with the whole state of another workdir, for the next resolution or other data",
    )
    parser.add_argument(
        "--profile",
        metavar="STEPS",
        type=int,
        nargs="?",
        const=3,
        default=0,
        help="trace a few steps (3) into WORKDIR/profile",
    )
    parser.add_argument("--show", action="store_true", help="print the resolved recipe as JSON and exit")
    parser.add_argument(
        "--compile-only",
        action="store_true",
        help="compile the step for --topology on this CPU, report memory and estimated time, and exit",
    )
    parser.add_argument("--topology", metavar="T", help="TPU slice to compile for, such as v5p:4x4x4")
    parser.add_argument(
        "--cached",
        action="store_true",
        help="with --compile-only: the batch holds latents and embeddings, and the encoders are left out",
    )
    parser.add_argument("--json", metavar="F", help="with --compile-only: write the report to this file")
    add_flags(parser)
    return parser


def load(arguments: argparse.Namespace) -> list[TrainConfig]:
    """Returns the recipes with their settings; the first one starts as the flags say."""
    from i1_train.recipes import load_recipe

    starts = {"weights": arguments.init_from, "workdir": arguments.from_stage}
    given = [f"start={json.dumps({name: value})}" for name, value in starts.items() if value is not None]
    first, *later = arguments.recipes
    return [
        load_recipe(first, [*arguments.assignments, *given]),
        *(load_recipe(name, arguments.assignments) for name in later),
    ]


def plugin_flags() -> list[str]:
    """Returns the `--plugin FILE` flags of this process, which `i1` has taken from its arguments."""
    from i1_hooks import get_registry

    registry = get_registry()
    names = [name for name, (_, version) in registry.plugins.items() if version.startswith(DIGEST)]
    modules: list[Any] = [registry.manager.get_plugin(name) for name in names]
    files = [module.__file__ for module in modules]
    return [flag for file in files for flag in ("--plugin", file)]


def compile_only(config: TrainConfig, topology: str, json_file: str | None, *, cached: bool) -> int:
    """Compiles the step for a TPU slice and prints the report; returns 0 if it fits the memory, else 1."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from i1_hooks.files import user_path, write_atomically
    from i1_model.compiled.table import summary

    from i1_train.aot import compile_step
    from i1_train.workdir import format_json

    report = compile_step(config, topology, cached=cached)
    if json_file is not None:
        write_atomically(user_path(json_file), format_json(report))
    print(summary(report))
    return 0 if report["fits"] else 1


def run_stages(configs: Sequence[TrainConfig], workdir: str, command: Sequence[str], profile: int) -> int:
    """Trains one recipe after another until one of them does not finish."""
    from i1_hooks.files import user_path

    from i1_train.stages import plan_stages

    for config, folder in plan_stages(configs, user_path(workdir)):
        if status := run(config, folder, command, profile):
            return status
    return 0


def run(config: TrainConfig, workdir: Path, command: Sequence[str], profile: int = 0) -> int:
    """Trains, and prints how the run ended."""
    import jax
    from i1_hooks.text import one_line
    from i1_model.ops.compilation_cache import enable_compilation_cache
    from i1_model.ops.devices import find_devices

    from i1_train.loop import train
    from i1_train.monitoring.bad_steps import BadStepError
    from i1_train.process.host_memory import keep_host_memory
    from i1_train.process.library_output import silence_checkpoint_tracebacks
    from i1_train.process.signals import RunInterruptedError

    silence_checkpoint_tracebacks()
    enable_compilation_cache()
    keep_host_memory()
    find_devices()
    try:
        step = train(config, workdir, profile=profile)
    except RunInterruptedError as stop:
        if jax.process_index() == 0:
            print(one_line(f"i1: {stop}; resume with: {shlex.join(command)}"), file=sys.stderr)
        return 1
    except BadStepError as error:
        print(f"i1: error: {error}", file=sys.stderr)
        return 1
    model = shlex.quote(f"{workdir}/checkpoints/{step}/model")
    if jax.process_index() == 0:
        print(one_line(f"done: {step} steps in {workdir}; sample with: i1 sample PROMPT --model {model}"))
    return 0
