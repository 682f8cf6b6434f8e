"""The command `i1 lora`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from i1_hooks import CommandParser, UserError

if TYPE_CHECKING:
    from i1_model.lora.files import LoraFile

_EPILOG = """\
SRC is a LoRA file in any of the formats, a folder that holds one, or the workdir of a run (its newest
checkpoint). `i1 sample --lora` takes the same.

  diffusers   transformer.M.lora_A.weight, alpha in the header; the keys of PEFT
  comfy       diffusion_model.M.lora_down.weight and .alpha, for ComfyUI
  kohya       lora_unet_M.lora_down.weight and .alpha
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `i1 lora`."""
    parser = CommandParser(
        prog="i1 lora",
        description="Show a LoRA, or write it with the keys of another program.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print format, rank, alpha and layers")
    export = actions.add_parser("export", help="write it in a format")
    export.add_argument("source", metavar="SRC", help="the LoRA")
    export.add_argument("destination", metavar="DST", help="the file, or a folder for it")
    export.add_argument(
        "--format", default="diffusers", metavar="F", help="diffusers (default), comfy or kohya"
    )
    show.add_argument("source", metavar="SRC", help="the LoRA")
    for action in (show, export):
        action.add_argument(
            "--model", metavar="D", help="model folder it was made for; needed for a kohya file alone"
        )
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs `i1 lora`.

    Args:
        argv: the arguments after `lora`.

    Raises:
        UserError: for a source that cannot be read or a destination that cannot be written.
    """
    arguments = build_parser().parse_args(argv)

    from i1_model.lora.files import LORA_FILE, write_lora

    lora = _read(arguments.source, arguments.model)
    if arguments.action == "show":
        _show(lora)
        return 0
    destination = Path(arguments.destination).expanduser()
    path = destination if destination.suffix == ".safetensors" else destination / LORA_FILE
    if path.exists():
        raise UserError(f"{path} exists; choose another name or remove it")
    print(f"wrote {write_lora(path, lora.adapter, arguments.format)}")
    return 0


def _read(source: str, model: str | None) -> LoraFile:
    from i1_model.checkpoints.folder import CONFIG_FILE, read_config
    from i1_model.lora.files import find_lora, read_lora
    from i1_model.lora.layers import find_layers

    path = find_lora(source)
    folder = Path(model) if model is not None else path.parent
    if model is None and not (folder / CONFIG_FILE).is_file():
        return read_lora(path)
    config, _ = read_config(folder)
    return read_lora(path, [layer.torch_name for layer in find_layers(config)])


def _show(lora: LoraFile) -> None:
    factors = lora.adapter.values()
    ranks = sorted({f.rank for f in factors})
    alphas = sorted({f.alpha for f in factors})
    size = sum(f.a.size + f.b.size for f in factors)
    print(f"{lora.path}: {lora.format} keys")
    print(f"rank {', '.join(map(str, ranks))}, alpha {', '.join(f'{alpha:g}' for alpha in alphas)}")
    print(f"{len(lora.adapter)} layers, {size:,} numbers")
    for name in lora.adapter:
        print(f"  {name}")
