"""The command `i1 sample`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i1_hooks import CommandParser, UserError, get_registry

from i1_sample.outputs import output_paths

if TYPE_CHECKING:
    from i1_sample.job import Job, StepEvent

_EPILOG = """\
A component (--solver, --time-grid, --guidance, --rewriter) is a name, or JSON with its fields:
  --guidance '{"component": "cfg", "rescale": 0.7, "interval_start": 0.2}'
Compiled programs are kept in $JAX_COMPILATION_CACHE_DIR, by default $XDG_CACHE_HOME/i1/jax or
~/.cache/i1/jax, which makes every run after the first start in seconds.
"""
_COMPONENTS = (
    ("solver", "solvers", None),
    ("time_grid", "time_grids", None),
    ("guidance", "guidances", None),
    ("rewriter", "rewriters", None),
)
"""Argument of the pipeline, kind and default of what is chosen by a flag of the same name."""


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
    add(
        "--model",
        default="scenes",
        help="a model folder, a training workdir, a released checkpoint, a name, or a repository on the "
        "Hugging Face Hub such as zlab-princeton/i1-3B (default: scenes)",
    )
    add("--revision", metavar="REV", help="branch, tag or commit of the model's repository")
    add("--resolution", type=int, metavar="PX", help="that the model is set to, a multiple of 16 for i1")
    add("--width", type=int, metavar="PX", help="of the pictures (default: the resolution)")
    add("--height", type=int, metavar="PX", help="of the pictures (default: the resolution)")
    add("--text-encoder", metavar="PATH", help="the text encoder's weights, a folder or OWNER/NAME[@REV]")
    add(
        "--lora",
        action="append",
        default=[],
        dest="loras",
        metavar="PATH[:S]",
        help="a LoRA file, folder or workdir, added with strength S (default: 1); several add up",
    )
    add("--vae", metavar="PATH", help="the autoencoder's weights, a folder or OWNER/NAME[@REV]")
    add("--vae-tile", type=int, metavar="PX", help="decode by tiles of this edge: bounds memory")
    add(
        "--offload",
        action="store_true",
        help="free the text encoder before the denoiser is loaded: least memory",
    )
    add("--output", "--outdir", type=Path, metavar="PATH", help="F.png (numbered for several), or a folder")
    add("--num-images", type=int, default=1, metavar="N", help="pictures per prompt (default: 1)")
    add("--seed", type=int, default=0, help="of the noise (default: 0)")
    add(
        "--start-index",
        type=int,
        default=0,
        metavar="K",
        help="make images K, K+1, ... of this seed (default: 0)",
    )
    add("--batch-size", type=int, metavar="N", help="pictures at a time; changes speed and memory alone")
    model_default = "default: the model's"
    add("--steps", "--num-steps", type=int, metavar="N", help=f"steps of the solver ({model_default})")
    add(
        "--guidance-scale",
        "--cfg-scale",
        "--cfg",
        type=float,
        metavar="W",
        help=f"1 is none ({model_default})",
    )
    add("--guidance-rescale", "--cfg-rescale", type=float, metavar="PHI", help=f"0 to 1 ({model_default})")
    add("--shift", type=float, metavar="S", help=f"of the time grid; 0 is none ({model_default})")
    for name, kind, default in _COMPONENTS:
        flag, names = f"--{name.replace('_', '-')}", ", ".join(get_registry().components(kind))
        told = default or "the preset's or the model's"
        add(flag, default=default, metavar="NAME", help=f"{names} (default: {told})")
    add(
        "--preset",
        choices=("fast",),
        help="fast: 30 steps of dpmpp_2m, where --steps and --solver are not given",
    )
    add("--dtype", choices=("float32", "bfloat16"), help=f"of weights and activations ({model_default})")
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
    if arguments.num_images < 1:
        parser.error(f"--num-images must be at least 1, got {arguments.num_images}")
    components = {
        name: _component(kind, given)
        for name, kind, _ in _COMPONENTS
        if (given := getattr(arguments, name)) is not None
    }
    paths = output_paths(arguments.output, prompts, arguments.num_images)

    from i1_sample.pipeline import Pipeline

    pipeline = Pipeline.from_pretrained(
        arguments.model,
        resolution=arguments.resolution,
        dtype=arguments.dtype,
        text_encoder=arguments.text_encoder,
        vae=arguments.vae,
        vae_tile=arguments.vae_tile,
        revision=arguments.revision,
        offload=arguments.offload,
        loras=arguments.loras,
    )
    job = pipeline.plan(
        prompts,
        num_inference_steps=arguments.steps,
        guidance_scale=arguments.guidance_scale,
        guidance_rescale=arguments.guidance_rescale,
        shift=arguments.shift,
        seed=arguments.seed,
        num_images_per_prompt=arguments.num_images,
        batch_size=arguments.batch_size,
        first_index=arguments.start_index,
        height=arguments.height,
        width=arguments.width,
        preset=arguments.preset,
        **components,
    )
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
    from i1_model.compiled.table import GIB
    from i1_model.sampling import SamplingDefaults

    from i1_sample.ahead import compile_sampling
    from i1_sample.settings import resolve_settings

    settings = resolve_settings(
        SamplingDefaults(),
        num_inference_steps=arguments.steps,
        guidance_scale=arguments.guidance_scale,
        **{
            name: _component(kind, given)
            for name, kind, _ in _COMPONENTS[:3]
            if (given := getattr(arguments, name)) is not None
        },
    )
    batch_size = arguments.batch_size or 1
    report = compile_sampling(
        arguments.model,
        arguments.topology,
        settings,
        batch_size=batch_size,
        dtype=arguments.dtype,
        resolution=arguments.resolution,
        height=arguments.height,
        width=arguments.width,
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    memory, seconds = report["bytes_per_device"], report["estimated_seconds"]
    print(
        f"{arguments.model} on one chip of {arguments.topology}, {settings.num_steps} steps, batch "
        f"{batch_size}: {'fits' if report['fits'] else 'does not fit'}, {(memory['peak'] or 0) / GIB:.2f} of "
        f"{memory['limit'] / GIB:.0f} GiB; estimated "
        f"{'unknown' if seconds is None else f'{seconds / batch_size:.3f}'} s per picture"
    )
    return 0 if report["fits"] else 1


def _component(kind: str, text: str) -> str | dict[str, Any]:
    """Returns a component as the pipeline takes it: a registered name, or what JSON with its fields says."""
    if not text.lstrip().startswith("{"):
        get_registry().find(kind, text)
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{text!r} is not JSON: {error}") from error


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

    return StepBar(job.num_images * job.settings.num_steps)
