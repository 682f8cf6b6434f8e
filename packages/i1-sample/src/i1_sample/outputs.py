"""Where the pictures of one command go."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from i1_hooks import UserError


def output_paths(output: Path | None, prompts: Sequence[str], num_images_per_prompt: int) -> list[Path]:
    """Returns one PNG path per picture, in order, and checks that they can be written.

    Args:
        output: `F.png` for one picture, numbered `F-0.png`, ... for several; any other name is a folder,
            filled with `00000.png`, ...; `None` names files after the prompts in the current folder, never
            over others.
        prompts: one or more.
        num_images_per_prompt: pictures of each.

    Raises:
        UserError: for a folder that cannot be made or written, or a file name of another format.
    """
    num_images = len(prompts) * num_images_per_prompt
    if output is None:
        paths = _free_paths([prompt for prompt in prompts for _ in range(num_images_per_prompt)])
    elif output.is_dir() or not output.suffix:
        paths = [output / f"{index:05d}.png" for index in range(num_images)]
    elif output.suffix.lower() != ".png":
        raise UserError(
            f"--output {output}: pictures are written as PNG; give a name that ends in .png, or a folder"
        )
    elif num_images == 1:
        paths = [output]
    else:
        digits = len(str(num_images - 1))
        paths = [
            output.with_name(f"{output.stem}-{index:0{digits}d}{output.suffix}")
            for index in range(num_images)
        ]
    folder = paths[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the output folder {folder}: {error.strerror}; choose another --output"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write into the folder {folder}: permission denied; choose another --output")
    return paths


def _free_paths(prompts: Sequence[str]) -> list[Path]:
    paths: list[Path] = []
    for prompt in prompts:
        stem = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60].strip("-") or "picture"
        path, number = Path(f"{stem}.png"), 1
        while path in paths or path.exists():
            path, number = Path(f"{stem}-{number}.png"), number + 1
        paths.append(path)
    return paths
