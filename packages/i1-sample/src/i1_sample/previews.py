"""Sample grids during training: one captioned picture per preview prompt."""

from __future__ import annotations

import functools
import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from i1_hooks.files import write_atomically
from i1_model.checkpoints.folder import LoadedModel, load_model
from i1_model.config import ModelConfig
from i1_model.lora.folder import is_adapter
from PIL import Image, ImageDraw, ImageFont

from i1_sample.loading import find_parts
from i1_sample.options import LoadOptions
from i1_sample.pipeline import Pipeline
from i1_sample.programs import Programs

_TEXT_SIZE = 11
_LINE_HEIGHT = 13
_MARGIN = 6
_MIN_CELL = 128


def write_preview(path: Path, model: Path, prompts: Sequence[str]) -> None:
    """Samples every prompt once, with the model's defaults and seed 0, and writes them as one PNG.

    Args:
        path: the PNG.
        model: a model folder.
        prompts: one or more.

    Raises:
        UserError: for a prompt that the model refuses, or a path that cannot be written.
    """
    loaded = _load_adapted(model) if is_adapter(model) else load_model(model)
    pipeline = Pipeline(loaded, name=str(model), programs=_programs(loaded.config))
    images = pipeline(list(prompts), seed=0).images
    data = io.BytesIO()
    captioned_grid([image for image in images if isinstance(image, Image.Image)], prompts).save(data, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data.getvalue())


def _load_adapted(folder: Path) -> LoadedModel:
    parts = find_parts(LoadOptions(model=str(folder)))
    return LoadedModel(parts.config, parts.load_params(), parts.metadata)


@functools.lru_cache(maxsize=1)
def _programs(config: ModelConfig) -> Programs:
    """Keeps the compiled parts from checkpoint to checkpoint of one run."""
    return Programs(config)


def captioned_grid(images: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    """Returns pictures in a nearly square grid, each with its caption below it.

    Pictures narrower than 128 pixels are enlarged by a whole factor.
    """
    font = ImageFont.load_default(size=_TEXT_SIZE)
    factor = math.ceil(_MIN_CELL / images[0].width)
    width, height = images[0].width * factor, images[0].height * factor
    texts = [textwrap.wrap(caption, max(1, int(width / (0.55 * _TEXT_SIZE)))) for caption in captions]
    cell_height = height + _LINE_HEIGHT * max(len(lines) for lines in texts) + 2
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    size = (columns * (width + _MARGIN) + _MARGIN, rows * (cell_height + _MARGIN) + _MARGIN)
    grid = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(grid)
    for place, (image, lines) in enumerate(zip(images, texts, strict=True)):
        x = _MARGIN + place % columns * (width + _MARGIN)
        y = _MARGIN + place // columns * (cell_height + _MARGIN)
        grid.paste(image.resize((width, height), Image.Resampling.NEAREST), (x, y))
        for line, text in enumerate(lines):
            draw.text((x, y + height + 1 + line * _LINE_HEIGHT), text, fill="black", font=font)
    return grid
