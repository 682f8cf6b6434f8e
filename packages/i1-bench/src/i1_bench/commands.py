"""The stages of `i1 bench` as commands."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from i1_hooks import CommandParser, UserError, get_registry, override, unknown

from i1_bench.benchmarks import headline
from i1_bench.generation import Generator
from i1_bench.progress import progress_bar
from i1_bench.reports.sheet_file import write_sheet
from i1_bench.runs import prepare_run
from i1_bench.sampling_arguments import add_sampling, make_pipeline, refuse_sampling
from i1_bench.stages.generate import generate_run
from i1_bench.stages.judge import judge_run, write_questions
from i1_bench.stages.run_folder import IMAGES
from i1_bench.stages.score import is_complete, score_run
from i1_bench.stages.settings import RunSettings, find_runs, load_settings

SUITES = {"i1": ("geneval", "dpg", "prism", "cvtg-2k", "longtext")}
"""Benchmarks that are run and averaged together."""


def stages() -> dict[str, Callable[[Sequence[str]], int]]:
    """Returns the command of each stage."""
    from i1_bench.compare_command import compare_command
    from i1_bench.sweep_command import sweep_command

    return {
        "prepare": prepare_command,
        "generate": generate_command,
        "judge": judge_command,
        "score": score_command,
        "report": report_command,
        "run": run_command,
        "compare": compare_command,
        "sweep": sweep_command,
    }


def stage_parser(stage: str, description: str) -> argparse.ArgumentParser:
    """Returns the parser of a stage with the options that all stages share."""
    parser = CommandParser(prog=f"i1 bench {stage}", description=description)
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="D", help="each benchmark has a folder in it")
    add("--benchmark", action="append", default=[], metavar="NAME", help="repeatable; default: what D holds")
    add("--suite", metavar="NAME", help=f"all benchmarks of a suite: {', '.join(SUITES)}")
    add(
        "--prompts", metavar="DIR", help="folder of prompt files (default: I1_BENCH_PROMPTS, else downloaded)"
    )
    add("--variant", metavar="V", help="original, simple_rewrite, complex_rewrite or repeatedN")
    add("--limit", type=int, metavar="N", help="only the first N prompts of each category")
    add("--count", type=int, metavar="N", help="pictures of each prompt, or of each category (default: all)")
    add("--seed", type=int, metavar="N", help="of prompts, noise and intervals (default: 0)")
    add(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="existing pictures; may hold a folder for each benchmark",
    )
    add("--judge-endpoint", metavar="URL", help="for judges behind an OpenAI-compatible endpoint")
    add(
        "--set",
        action="append",
        default=[],
        metavar="[BENCHMARK:]PATH=VALUE",
        help="change benchmarks, as longtext:judge=rapid_ocr",
    )
    return parser


def add_generation(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what makes the pictures."""
    add = parser.add_argument
    add("--endpoint", metavar="URL", help="an OpenAI-compatible images endpoint in place of --model")
    add("--endpoint-model", default="", metavar="NAME", help="the model's name at the endpoint")
    add("--size", default="1024x1024", metavar="WxH", help="asked of the endpoint (default: 1024x1024)")
    add_sampling(parser)


def add_incomplete(parser: argparse.ArgumentParser) -> None:
    """Adds the option that lets a run be incomplete."""
    parser.add_argument(
        "--allow-incomplete", action="store_true", help="exit with 0 when pictures or answers are missing"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One run that a command works on.

    Attributes:
        folder: of the run.
        settings: of the run.
    """

    folder: Path
    settings: RunSettings


def chosen_runs(arguments: argparse.Namespace) -> list[Run]:
    """Returns the runs that the options name, with the settings kept in their folders and those given now.

    Raises:
        UserError: for unknown names, or settings that do not fit.
    """
    for option, least in (("count", 1), ("seed", 0), ("limit", 0)):
        value = getattr(arguments, option)
        if value is not None and not least <= value < 2**32:
            raise UserError(f"--{option} {value}: expected a number from {least} to 4294967295")
    registry = get_registry()
    names = list(dict.fromkeys([*arguments.benchmark, *_suite(arguments.suite)]))
    for name in names:
        if name not in registry.components("benchmarks"):
            raise unknown("benchmark", name, registry.components("benchmarks"))
    _check_prefixes(arguments.set)
    if not names:
        return [
            Run(folder=folder, settings=_changed(load_settings(folder), folder.name, arguments))
            for folder in find_runs(arguments.output)
        ]
    runs = []
    for name in names:
        folder = arguments.output / name
        try:
            settings = load_settings(folder)
        except UserError:
            if (folder / "settings.json").exists():
                raise
            config = registry.load("benchmarks", name)()
            settings = RunSettings(config=config, count=0, seed=0)
        runs.append(Run(folder=folder, settings=_changed(settings, name, arguments)))
    return runs


def _suite(name: str | None) -> tuple[str, ...]:
    if name is None:
        return ()
    if name not in SUITES:
        raise unknown("suite", name, SUITES)
    return SUITES[name]


def _check_prefixes(assignments: Sequence[str]) -> None:
    known = get_registry().components("benchmarks")
    for assignment in assignments:
        prefix, colon, _ = assignment.partition("=")[0].partition(":")
        if colon and prefix not in known:
            raise unknown("benchmark in --set", prefix, known)


def _changed(settings: RunSettings, name: str, arguments: argparse.Namespace) -> RunSettings:
    config = settings.config
    assignments = []
    for field in ("prompts", "variant", "limit"):
        value = getattr(arguments, field)
        if value is not None and hasattr(config, field):
            assignments.append(f"{field}={value}")
    for assignment in arguments.set:
        prefix, colon, rest = assignment.partition(":")
        is_prefixed = bool(colon) and "=" not in prefix
        if not is_prefixed or prefix == name:
            assignments.append(rest if is_prefixed else assignment)
    config = override(config, assignments)
    if arguments.judge_endpoint is not None and hasattr(getattr(config, "judge", None), "endpoint"):
        config = override(config, [f"judge.endpoint={arguments.judge_endpoint}"])
    images = settings.images
    if arguments.images is not None:
        images = arguments.images / name if (arguments.images / name).is_dir() else arguments.images
        if not images.is_dir():
            raise UserError(f"--images {images}: no such folder")
    count = arguments.count or settings.count or config.build().default_count
    seed = settings.seed if arguments.seed is None else arguments.seed
    return RunSettings(config=config, count=count, seed=seed, images=images)


def prepare_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench prepare`."""
    arguments = stage_parser("prepare", "Write the prompts of benchmarks.").parse_args(argv)
    for run in chosen_runs(arguments):
        requests = prepare(run)
        print(f"{run.folder}: {requests} pictures in prompts.jsonl")
    return 0


def prepare(run: Run, source: dict[str, Any] | None = None) -> int:
    """Claims the folder of a run, and writes its prompts and settings; returns the number of pictures."""
    settings = run.settings
    if settings.images is not None:
        source = {"images": str(settings.images)}
    requests = settings.requests()
    prepare_run(settings.benchmark(), requests, run.folder, seed=settings.seed, source=source)
    settings.save(run.folder)
    return len(requests)


def generate_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench generate`."""
    parser = stage_parser("generate", "Make the pictures that are missing.")
    add_generation(parser)
    arguments = parser.parse_args(argv)
    generator = make_generator(parser, arguments)
    return max(generate(run, generator) for run in chosen_runs(arguments))


def make_generator(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Generator:
    """Returns what makes the pictures.

    Raises:
        UserError: for options that do not fit each other, or a model that cannot be had.
    """
    if arguments.endpoint is None:
        return make_pipeline(arguments)
    from i1_bench.endpoint_images import EndpointGenerator

    refuse_sampling(parser, arguments, "an endpoint")
    return EndpointGenerator(arguments.endpoint, arguments.endpoint_model, arguments.size)


def generate(run: Run, generator: Generator) -> int:
    """Makes the missing pictures of a run; returns 1 when some failed."""
    if run.settings.images is not None:
        raise UserError(
            f"{run.folder} takes its pictures from {run.settings.images}: there is nothing to generate"
        )
    prepare(run, generator.describe())
    settings = run.settings
    bar = progress_bar(f"generate {run.folder.name}")
    failed = generate_run(generator, settings.requests(), settings.seed, run.folder / IMAGES, progress=bar)
    if failed:
        print(f"{run.folder}: {len(failed)} pictures failed, first: {failed[0].reason}")
    return 1 if failed else 0


def judge_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench judge`."""
    parser = stage_parser("judge", "Ask the judges what is not answered yet.")
    parser.add_argument(
        "--write-questions",
        action="store_true",
        help="write questions.jsonl for a judge on another machine instead of asking",
    )
    add_incomplete(parser)
    arguments = parser.parse_args(argv)
    status = 0
    for run in chosen_runs(arguments):
        prepare(run)
        if arguments.write_questions:
            settings = run.settings
            path = write_questions(settings.benchmark(), settings.pictures(run.folder), run.folder)
            print(f"wrote {path}")
        else:
            status = max(status, judge(run, allow_incomplete=arguments.allow_incomplete))
    return status


def judge(run: Run, *, allow_incomplete: bool) -> int:
    """Asks the judges of a run; returns 1 when a call failed and that is not allowed."""
    settings, pictures = run.settings, run.settings.pictures(run.folder)
    bar = progress_bar(f"judge {run.folder.name}")
    failures = judge_run(settings.benchmark(), pictures.requests, pictures, run.folder, progress=bar)
    if pictures.unexpected:
        first = pictures.unexpected[0]
        print(f"{run.folder}: {len(pictures.unexpected)} pictures belong to no prompt, first: {first}")
    if failures:
        print(f"{run.folder}: {len(failures)} failures in failures.jsonl, first: {failures[0]['error']}")
    return 1 if failures and not allow_incomplete else 0


def score_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench score`."""
    parser = stage_parser("score", "Compute the scores from the recorded answers.")
    add_incomplete(parser)
    arguments = parser.parse_args(argv)
    runs = chosen_runs(arguments)
    return max(score(run, allow_incomplete=arguments.allow_incomplete) for run in runs)


def score(run: Run, *, allow_incomplete: bool) -> int:
    """Scores a run; returns 1 when it is incomplete and that is not allowed."""
    settings = run.settings
    scores = score_run(
        settings.config, settings.requests(), run.folder, seed=settings.seed, count=settings.count
    )
    print(headline(run.folder.name, scores))
    return 0 if allow_incomplete or is_complete(scores) else 1


def report_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench report`."""
    arguments = stage_parser("report", "Write the report of scored runs.").parse_args(argv)
    report([run.folder for run in chosen_runs(arguments)], arguments.output)
    return 0


def report(folders: Sequence[Path], output: Path) -> None:
    """Writes the report of runs into a folder, and the contact sheet of each run."""
    from i1_bench.reports.files import write_report

    for folder in folders:
        write_sheet(folder, load_settings(folder).pictures(folder))
    paths = write_report(folders, output)
    print(f"wrote {', '.join(str(path) for path in paths)}")


def run_command(argv: Sequence[str]) -> int:
    """Runs `i1 bench run`."""
    parser = stage_parser("run", "Prepare, generate, judge, score and report.")
    add_generation(parser)
    add_incomplete(parser)
    arguments = parser.parse_args(argv)
    runs = chosen_runs(arguments)
    generator = None if all(run.settings.images for run in runs) else make_generator(parser, arguments)
    return run_all(runs, generator, arguments.output, allow_incomplete=arguments.allow_incomplete)


def run_all(runs: Sequence[Run], generator: Generator | None, output: Path, *, allow_incomplete: bool) -> int:
    """Runs all stages of several runs; returns 1 when something is missing and that is not allowed."""
    status = 0
    for run in runs:
        if run.settings.images is not None:
            prepare(run)
        else:
            assert generator is not None
            generate(run, generator)
        judge(run, allow_incomplete=True)
        status = max(status, score(run, allow_incomplete=allow_incomplete))
    report([run.folder for run in runs], output)
    return status
