"""The contact sheet: pictures of every category with right and wrong marked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from i1_bench.benchmarks import Prompt
from i1_bench.judges import Verdict

COLUMNS = 10
"""Pictures shown of each category and split: the first ones, right or wrong."""
_PICTURE = 128
_FRAME = 4
_CELL = (_PICTURE + 2 * _FRAME + 12, _PICTURE + 2 * _FRAME + 62)
_HEADING = 26
_MARGIN = 12
_RIGHT, _WRONG, _INK = (30, 150, 60), (210, 40, 40), (30, 30, 30)
_LINE_CHARACTERS = 25


def contact_sheet(
    prompts: Sequence[Prompt], pictures: Sequence[np.ndarray], verdicts: Sequence[Verdict]
) -> Image.Image:
    """Returns a sheet with one row for each split and category.

    A picture has its prompt below; a right one has a green frame, a wrong one a red frame and the reason.

    Args:
        prompts: what was asked for.
        pictures: uint8 (height, width, 3), one for each prompt.
        verdicts: one for each prompt.
    """
    rows: dict[tuple[str, str], list[int]] = {}
    for index, prompt in enumerate(prompts):
        rows.setdefault((prompt.split, prompt.category), []).append(index)
    columns = min(COLUMNS, max(len(row) for row in rows.values()))
    size = (2 * _MARGIN + columns * _CELL[0], 2 * _MARGIN + len(rows) * (_CELL[1] + _HEADING))
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, ((split, category), row) in enumerate(rows.items()):
        top = _MARGIN + number * (_CELL[1] + _HEADING)
        mean = sum(verdicts[index].score for index in row) / len(row)
        title = f"{split}  {category}  {mean:.3f}  ({len(row)} pictures)"
        draw.text((_MARGIN, top), title, fill=_INK, font=ImageFont.load_default(size=16))
        for column, index in enumerate(row[:columns]):
            corner = (_MARGIN + column * _CELL[0], top + _HEADING)
            _paste(sheet, draw, corner, pictures[index], prompts[index].text, verdicts[index])
    return sheet


def _paste(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    picture: np.ndarray,
    caption: str,
    verdict: Verdict,
) -> None:
    left, top = corner
    side = _PICTURE + 2 * _FRAME
    draw.rectangle((left, top, left + side - 1, top + side - 1), fill=_RIGHT if verdict.right else _WRONG)
    shown = Image.fromarray(picture).resize((_PICTURE, _PICTURE), Image.Resampling.NEAREST)
    sheet.paste(shown, (left + _FRAME, top + _FRAME))
    font = ImageFont.load_default(size=11)
    lines = [(line, _INK) for line in textwrap.wrap(caption, _LINE_CHARACTERS, max_lines=3)]
    if verdict.reason:
        lines += [(textwrap.shorten(verdict.reason, _LINE_CHARACTERS + 2, placeholder="..."), _WRONG)]
    for number, (line, ink) in enumerate(lines):
        draw.text((left, top + side + 2 + 14 * number), line, fill=ink, font=font)
