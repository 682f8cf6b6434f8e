"""The command `i1 bench`: its stages, and one benchmark in one call."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from i1_hooks import CommandParser, get_registry, override, unknown

from i1_bench.sampling_arguments import add_sampling, make_pipeline, refuse_sampling

STAGES = ("prepare", "generate", "judge", "score", "report", "run", "compare", "sweep")
HELP = """\
usage: i1 bench STAGE [options], or i1 bench BENCHMARK [options]

Make, judge and score the pictures of benchmarks.

stages:
  prepare   write the prompts of benchmarks
  generate  make the pictures that are missing
  judge     ask the judges what is not answered yet
  score     compute the scores from the recorded answers
  report    write the report of scored runs: Markdown, JSON and a page
  run       all of these
  compare   compare two runs prompt by prompt
  sweep     run a grid of sampling settings

benchmarks: {benchmarks}

`i1 bench STAGE --help` shows the options of a stage, `i1 bench BENCHMARK --help` those of one benchmark."""


def main(argv: Sequence[str]) -> int:
    """Runs `i1 bench`.

    Args:
        argv: the arguments after `bench`.

    Returns:
        0 when done, 1 when a run is incomplete and that is not allowed.

    Raises:
        UserError: for a mistake on the command line, and what the stages raise.
    """
    benchmarks = get_registry().components("benchmarks")
    if not argv or argv[0] in ("-h", "--help"):
        print(HELP.format(benchmarks=", ".join(benchmarks)))
        return 0
    name, rest = argv[0], argv[1:]
    if name in STAGES:
        from i1_bench.commands import stages

        commands: dict[str, Callable[[Sequence[str]], int]] = stages()
        return commands[name](rest)
    if name not in benchmarks:
        raise unknown("stage or benchmark", name, [*STAGES, *benchmarks])
    return _one_benchmark(name, rest)


def build_parser(name: str) -> argparse.ArgumentParser:
    """Returns the parser of `i1 bench BENCHMARK`."""
    parser = CommandParser(prog="i1 bench", description=f"Make, judge and score the pictures of {name}.")
    add = parser.add_argument
    add(
        "--output",
        type=Path,
        metavar="D",
        help="folder of scores.json, results.jsonl, contact_sheet.png, images/",
    )
    add(
        "--images-per-category",
        type=int,
        metavar="N",
        help="of each category, or of each prompt (default: all)",
    )
    add("--seed", type=int, default=0, help="of prompts, noise and intervals (default: 0)")
    add("--images", type=Path, metavar="FOLDER", help="score these pictures instead of generating")
    add(
        "--write-prompts",
        type=Path,
        metavar="F",
        help="only write every prompt with its file name, as JSON lines",
    )
    add(
        "--allow-incomplete",
        action="store_true",
        help="score what there is when pictures or answers are missing",
    )
    add(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="change the benchmark, as judge=NAME"
    )
    add_sampling(parser)
    return parser


def _one_benchmark(name: str, argv: Sequence[str]) -> int:
    parser = build_parser(name)
    arguments = parser.parse_args(argv)
    count = arguments.images_per_category
    if count is not None and count < 1:
        parser.error(f"--images-per-category {count}: expected at least 1")
    if not 0 <= arguments.seed < 2**32:
        parser.error(f"--seed {arguments.seed}: expected a number from 0 to 4294967295")
    config = override(get_registry().load("benchmarks", name)(), arguments.set)
    if arguments.write_prompts is not None:
        from i1_bench.runs import prompt_rows
        from i1_bench.stages.run_folder import write_lines

        benchmark = config.build()
        requests = benchmark.requests(count or benchmark.default_count, arguments.seed)
        write_lines(arguments.write_prompts, prompt_rows(requests))
        print(f"wrote {len(requests)} prompts to {arguments.write_prompts}")
        return 0
    if arguments.output is None:
        parser.error("no --output: give a folder for scores and pictures")
    if arguments.images is not None and not arguments.images.is_dir():
        parser.error(f"--images {arguments.images}: no such folder")
    if arguments.images is not None:
        refuse_sampling(parser, arguments, "existing pictures")

    from i1_bench.progress import progress_bar
    from i1_bench.runs import run_benchmark

    generator = None if arguments.images is not None else make_pipeline(arguments)
    scores = run_benchmark(
        config,
        generator,
        images_per_category=count,
        seed=arguments.seed,
        output=arguments.output,
        images=arguments.images,
        allow_incomplete=arguments.allow_incomplete,
        progress=progress_bar(name),
    )
    print(config.build().headline(scores))
    print(f"wrote {arguments.output / 'scores.json'}, results.jsonl and contact_sheet.png")
    return 0
