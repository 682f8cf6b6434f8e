"""The command `i1 bench`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from i1_hooks import CommandParser, UserError, get_registry, override


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `i1 bench`."""
    names = ", ".join(get_registry().components("benchmarks"))
    parser = CommandParser(prog="i1 bench", description="Score generated pictures.")
    add = parser.add_argument
    add("benchmark", metavar="BENCHMARK", help=names)
    add(
        "--output",
        type=Path,
        metavar="D",
        help="folder of scores.json, results.jsonl, contact_sheet.png, images/",
    )
    add("--model", default="scenes", help="a model folder, a training workdir, or a name (default: scenes)")
    add("--images-per-category", type=int, default=50, metavar="N", help="for each split (default: 50)")
    add("--seed", type=int, default=0, help="of prompts, noise and intervals (default: 0)")
    add("--steps", type=int, metavar="N", help="steps of the solver (default: the model's)")
    add("--guidance-scale", type=float, metavar="W", help="1 is none (default: the model's)")
    add("--batch-size", type=int, default=16, metavar="N", help="pictures at a time (default: 16)")
    add("--images", type=Path, metavar="FOLDER", help="score these pictures instead of generating")
    add(
        "--write-prompts",
        type=Path,
        metavar="F",
        help="only write every prompt with its file name, as JSON lines",
    )
    add(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="change the benchmark, as judge=NAME"
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs `i1 bench`.

    Args:
        argv: the arguments after `bench`.

    Raises:
        UserError: for a mistake on the command line, and what `run_benchmark` raises.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.images_per_category < 1:
        parser.error(f"--images-per-category {arguments.images_per_category}: expected at least 1")
    if not 0 <= arguments.seed < 2**32:
        parser.error(f"--seed {arguments.seed}: expected a number from 0 to 4294967295")
    if arguments.batch_size < 1:
        parser.error(f"--batch-size {arguments.batch_size}: expected at least 1")
    config = override(get_registry().load("benchmarks", arguments.benchmark)(), arguments.set)
    if arguments.write_prompts is not None:
        return _write_prompts(config, arguments)
    if arguments.output is None:
        parser.error("no --output: give a folder for scores and pictures")
    if arguments.images is not None and not arguments.images.is_dir():
        parser.error(f"--images {arguments.images}: no such folder")
    for flag in ("steps", "guidance_scale"):
        if arguments.images is not None and getattr(arguments, flag) is not None:
            parser.error(f"--{flag.replace('_', '-')} does not apply to existing pictures: leave one out")

    from i1_bench.generation import PipelineGenerator
    from i1_bench.runs import run_benchmark

    generator = None
    if arguments.images is None:
        generator = PipelineGenerator(
            arguments.model,
            steps=arguments.steps,
            guidance_scale=arguments.guidance_scale,
            batch_size=arguments.batch_size,
        )
    scores = run_benchmark(
        config,
        generator,
        images_per_category=arguments.images_per_category,
        seed=arguments.seed,
        output=arguments.output,
        images=arguments.images,
        progress=_progress,
    )
    print(config.build().headline(scores))
    print(f"wrote {arguments.output / 'scores.json'}, results.jsonl and contact_sheet.png")
    return 0


def _write_prompts(config: object, arguments: argparse.Namespace) -> int:
    from i1_bench.benchmarks import BenchmarkConfig

    assert isinstance(config, BenchmarkConfig)
    requests = config.build().requests(arguments.images_per_category, arguments.seed)
    lines = [json.dumps({"image": str(r.path), "prompt": r.prompt.text}) + "\n" for r in requests]
    try:
        arguments.write_prompts.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--write-prompts {arguments.write_prompts}: {error.strerror}") from error
    print(f"wrote {len(lines)} prompts to {arguments.write_prompts}")
    return 0


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rgenerated {done} of {total} pictures", end=end, file=sys.stderr, flush=True)
