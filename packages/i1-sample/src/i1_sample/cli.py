"""The command `i1 sample`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from i1_hooks import CommandParser, UserError

from i1_sample.arguments import add_options, read_options
from i1_sample.options import LoadOptions, SampleOptions
from i1_sample.outputs import output_paths

if TYPE_CHECKING:
    from i1_sample.job import Job, StepEvent

_EPILOG = """\
A component (--solver, --time-grid, --guidance, --rewriter) is a name, or JSON with its fields:
  --guidance '{"component": "cfg", "rescale": 0.7, "interval_start": 0.2}'
Compiled programs are kept in $JAX_COMPILATION_CACHE_DIR, by default $XDG_CACHE_HOME/i1/jax or
~/.cache/i1/jax, which makes every run after the first start in seconds.
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `i1 sample`; choices come from the registered plugins."""
    parser = CommandParser(
        prog="i1 sample",
        description="Make pictures from prompts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("prompts", nargs="*", metavar="PROMPT", help="what to draw; several prompts give several pictures")
    add(
        "--prompts-file",
        type=Path,
        metavar="FILE",
        help="one prompt per line, after those on the command line",
    )
    add_options(parser, LoadOptions)
    add("--output", "--outdir", type=Path, metavar="PATH", help="F.png (numbered for several), or a folder")
    add_options(parser, SampleOptions)
    add(
        "--compile-only",
        action="store_true",
        help="compile for one chip of --topology on this CPU, report memory and estimated time, and leave; "
        "--model may also be a published size, such as i1-3b-1024",
    )
    add("--topology", metavar="T", help="TPU slice to compile for, such as v5p:2x2x1")
    add("--json", type=Path, metavar="F", help="with --compile-only: write the report to this file")
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs `i1 sample`.

    Args:
        argv: the arguments after `sample`.

    Raises:
        UserError: for a mistake on the command line, found before the model is loaded where possible.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.compile_only:
        if arguments.topology is None:
            parser.error("--topology is missing: name a TPU slice, as in --topology v5p:2x2x1")
        return _compile_only(arguments)
    if arguments.topology or arguments.json:
        parser.error("--topology and --json go with --compile-only")
    prompts = [*arguments.prompts, *_read_prompts(arguments.prompts_file)]
    if not prompts:
        parser.error("no prompt: give one in quotation marks, or a --prompts-file")
    loading, sampling = read_options(LoadOptions, arguments), read_options(SampleOptions, arguments)
    paths = output_paths(arguments.output, prompts, sampling.num_images_per_prompt)

    from i1_sample.pipeline import Pipeline

    pipeline = Pipeline.load(loading)
    job = pipeline.plan(prompts, sampling)
    from PIL import Image

    from i1_sample.png import describe, save_png

    with _progress(job) as advance:
        for event in pipeline.run(job):
            advance(event)
            if event.is_last:
                for position, pixels in zip(event.positions, event.images(), strict=True):
                    save_png(paths[position], Image.fromarray(pixels), describe(pipeline, job, position))
    for path in paths:
        print(f"wrote {path}")
    return 0


def _compile_only(arguments: argparse.Namespace) -> int:
    """Compiles sampling and prints the report; 0 when it fits, 1 when it does not."""
    import os

    os.environ["JAX_PLATFORMS"] = "cpu"
    from i1_model.ops.chips import GIB
    from i1_model.sampling import SamplingDefaults

    from i1_sample.ahead import compile_sampling
    from i1_sample.settings import resolve_settings

    loading, options = read_options(LoadOptions, arguments), read_options(SampleOptions, arguments)
    settings = resolve_settings(SamplingDefaults(), options)
    batch_size = options.batch_size or 1
    report = compile_sampling(
        loading.model,
        arguments.topology,
        settings,
        batch_size=batch_size,
        dtype=loading.dtype,
        resolution=loading.resolution,
        height=options.height,
        width=options.width,
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    memory, seconds = report["bytes_per_device"], report["estimated_seconds"]
    print(
        f"{loading.model} on one chip of {arguments.topology}, {settings.num_inference_steps} steps, batch "
        f"{batch_size}: {'fits' if report['fits'] else 'does not fit'}, {(memory['peak'] or 0) / GIB:.2f} of "
        f"{memory['limit'] / GIB:.0f} GiB; estimated "
        f"{'unknown' if seconds is None else f'{seconds / batch_size:.3f}'} s per picture"
    )
    return 0 if report["fits"] else 1


def _read_prompts(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UserError(
            f"--prompts-file {path}: {reason}; give a text file with one prompt per line"
        ) from error
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise UserError(f"--prompts-file {path} holds no prompt; write one per line")
    return prompts


def _progress(job: Job) -> AbstractContextManager[Callable[[StepEvent], None]]:
    """Shows a bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        return nullcontext(lambda _event: None)
    from i1_sample.progress import StepBar

    return StepBar(job.num_images * job.settings.num_inference_steps)
