"""The contact sheet: pictures of every category with right and wrong marked."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 10
"""Pictures shown of each category and split: the first ones, right or wrong."""
_PICTURE = 128
_FRAME = 4
_CELL = (_PICTURE + 2 * _FRAME + 12, _PICTURE + 2 * _FRAME + 62)
_HEADING = 26
_MARGIN = 12
_RIGHT, _WRONG, _INK, _ABSENT = (30, 150, 60), (210, 40, 40), (30, 30, 30), (150, 150, 150)
_LINE_CHARACTERS = 25

Row = Mapping[str, Any]
"""A line of `results.jsonl`."""


def shown_rows(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Returns the rows of the pictures that a sheet shows, by split and category."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["split"], row["category"]), []).append(row)
    return groups


def contact_sheet(rows: Sequence[Row], pictures: Mapping[str, np.ndarray]) -> Image.Image:
    """Returns a sheet with one row for each split and category.

    A picture has its prompt below; a right one has a green frame, a wrong one a red frame and the reason, and
    one that was not judged a grey frame.

    Args:
        rows: the lines of `results.jsonl`.
        pictures: uint8 (height, width, 3) by `image`; missing ones stay empty.
    """
    groups = shown_rows(rows)
    columns = min(COLUMNS, max(len(row) for row in groups.values()))
    size = (2 * _MARGIN + columns * _CELL[0], 2 * _MARGIN + len(groups) * (_CELL[1] + _HEADING))
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, ((split, category), group) in enumerate(groups.items()):
        top = _MARGIN + number * (_CELL[1] + _HEADING)
        weight = sum(row["weight"] for row in group)
        mean = f"{sum(row['credit'] for row in group) / weight:.3f}" if weight else "-"
        title = f"{split}  {category}  {mean}  ({len(group)} pictures)"
        draw.text((_MARGIN, top), title, fill=_INK, font=ImageFont.load_default(size=16))
        for column, row in enumerate(group[:columns]):
            corner = (_MARGIN + column * _CELL[0], top + _HEADING)
            _paste(sheet, draw, corner, pictures.get(row["image"]), row)
    return sheet


def _paste(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    picture: np.ndarray | None,
    row: Row,
) -> None:
    left, top = corner
    side = _PICTURE + 2 * _FRAME
    frame = _ABSENT if not row["weight"] else _RIGHT if row["right"] else _WRONG
    draw.rectangle((left, top, left + side - 1, top + side - 1), fill=frame)
    if picture is not None:
        sheet.paste(thumbnail(picture, _PICTURE), (left + _FRAME, top + _FRAME))
    font = ImageFont.load_default(size=11)
    lines = [(line, _INK) for line in textwrap.wrap(row["prompt"], _LINE_CHARACTERS, max_lines=3)]
    if row["reason"]:
        lines += [(textwrap.shorten(row["reason"], _LINE_CHARACTERS + 2, placeholder="..."), _WRONG)]
    for number, (line, ink) in enumerate(lines):
        draw.text((left, top + side + 2 + 14 * number), line, fill=ink, font=font)


def thumbnail(picture: np.ndarray, side: int) -> Image.Image:
    """Returns a picture as a square of `side` pixels, small ones enlarged without smoothing."""
    enlarges = max(picture.shape[:2]) < side
    filtering = Image.Resampling.NEAREST if enlarges else Image.Resampling.LANCZOS
    return Image.fromarray(picture).resize((side, side), filtering)
