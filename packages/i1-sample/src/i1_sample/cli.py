"""The command `i1 sample`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i1_hooks import CommandParser, UserError
from i1_hooks.files import user_path, write_atomically

from i1_sample.arguments import add_options, read_options
from i1_sample.options import LoadOptions, SampleOptions
from i1_sample.outputs import plan_outputs
from i1_sample.prompts import check_prompt, printable, read_prompts

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
        type=user_path,
        metavar="FILE",
        help="prompts after those on the command line: one per line, or `prompt` of a .jsonl or .csv",
    )
    add_options(parser, LoadOptions)
    add(
        "--output",
        "--outdir",
        metavar="PATH",
        help="F.png (numbered for several), or a folder; a name that is taken gets a number",
    )
    add("--image", type=user_path, metavar="FILE", help="a picture to change, as much as --strength says")
    add("--mask-image", type=user_path, metavar="FILE", help="white where --image is painted anew")
    add_options(parser, SampleOptions)
    add(
        "--resume",
        action="store_true",
        help="make the pictures that the folder --output lacks; its manifest.json refuses other settings",
    )
    add("--shard", metavar="I/N", help="with --resume: make part I of N, from 0; for several hosts")
    add(
        "--format",
        choices=("text", "json"),
        default="text",
        help="of what is printed: lines for people, or one JSON object for programs (default: text)",
    )
    add(
        "--compile-only",
        action="store_true",
        help="compile for one chip of --topology on this CPU, report memory and estimated time, and leave; "
        "--model may also be a published size, such as i1-3b-1024",
    )
    add("--topology", metavar="T", help="TPU slice to compile for, such as v5p:2x2x1")
    add("--json", type=user_path, metavar="F", help="with --compile-only: write the report to this file")
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
    prompts = [*arguments.prompts]
    if arguments.prompts_file is not None:
        prompts += read_prompts(arguments.prompts_file)
    if not prompts:
        parser.error("no prompt: give one in quotation marks, or a --prompts-file")
    for prompt in prompts:
        check_prompt(prompt)
    loading, sampling = read_options(LoadOptions, arguments), read_options(SampleOptions, arguments)
    if arguments.resume or arguments.shard:
        return _bulk(arguments, prompts, loading, sampling)
    outputs = plan_outputs(arguments.output, prompts, sampling.num_images_per_prompt)

    from i1_sample.pipeline import Pipeline

    pipeline = Pipeline.load(loading)
    job = pipeline.plan(prompts, sampling, image=arguments.image, mask_image=arguments.mask_image)
    from PIL import Image

    from i1_sample.png import describe, png_bytes

    paths: list[Path] = []
    try:
        with _progress(job) as advance:
            for event in pipeline.run(job):
                advance(event)
                if event.is_last:
                    for position, pixels in zip(event.positions, event.images(), strict=True):
                        record = describe(pipeline, job, position)
                        paths.append(outputs.write(position, png_bytes(Image.fromarray(pixels), record)))
    finally:
        if arguments.format == "json":
            print(json.dumps({"images": [_told(job, index, path) for index, path in enumerate(paths)]}))
        for path in paths if arguments.format == "text" else ():
            print(printable(f"wrote {path}"))
    if sampling.seed is None and arguments.format == "text":
        print(f"seed {job.seed}", file=sys.stderr)
    return 0


def _bulk(
    arguments: argparse.Namespace, prompts: Sequence[str], loading: LoadOptions, sampling: SampleOptions
) -> int:
    """Makes what a folder lacks, and says how much that was."""
    if arguments.output is None or not arguments.resume:
        raise UserError("--resume and --shard go together with --output FOLDER: name all that apply")
    if arguments.image or arguments.mask_image:
        raise UserError("--image and --mask-image do not go with --resume; leave them out")
    from i1_sample.bulk import parse_shard, run_bulk
    from i1_sample.pipeline import Pipeline

    shard, folder = parse_shard(arguments.shard or "0/1"), user_path(arguments.output)
    made = run_bulk(Pipeline.load(loading), prompts, sampling, folder, shard)
    if arguments.format == "json":
        print(json.dumps({"folder": str(folder), "made": [path.name for path in made]}))
    else:
        print(printable(f"wrote {len(made)} pictures into {folder}"))
    return 0


def _told(job: Job, position: int, path: Path) -> dict[str, Any]:
    """Returns what a program that called the command needs to know about a picture."""
    prompt = position // job.num_images_per_prompt
    return {
        "path": str(path),
        "prompt": job.prompts[prompt],
        "rewritten_prompt": job.rewritten_prompts[prompt],
        "seed": job.seed,
        "index": job.first_index + position,
        "width": job.width,
        "height": job.height,
    }


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
        write_atomically(arguments.json, json.dumps(report, indent=2) + "\n")
    memory, seconds = report["bytes_per_device"], report["estimated_seconds"]
    print(
        f"{loading.model} on one chip of {arguments.topology}, {settings.num_inference_steps} steps, batch "
        f"{batch_size}: {'fits' if report['fits'] else 'does not fit'}, {(memory['peak'] or 0) / GIB:.2f} of "
        f"{memory['limit'] / GIB:.0f} GiB; estimated "
        f"{'unknown' if seconds is None else f'{seconds / batch_size:.3f}'} s per picture"
    )
    return 0 if report["fits"] else 1


def _progress(job: Job) -> AbstractContextManager[Callable[[StepEvent], None]]:
    """Shows a bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        return nullcontext(lambda _event: None)
    from i1_sample.progress import StepBar

    return StepBar(job.num_images * job.num_steps)
