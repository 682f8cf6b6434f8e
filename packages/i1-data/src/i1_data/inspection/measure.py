"""Measurement of a source: sizes, captions, and pictures to show."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from i1_hooks import UserError

from i1_data import images
from i1_data.reading import read_record
from i1_data.sources import Source, SourceConfig

THUMBNAIL = 128
"""Edge of a picture on the page, in pixels."""


@dataclass
class Measured:
    """What was found in some records of a source.

    Attributes:
        records: how many were read.
        heights: in pixels, with the camera's orientation.
        widths: in pixels.
        captions: how many each record has.
        words: in each caption.
        tokens: in each caption, with a tokenizer; without one, empty.
        unreadable: key and reason.
        pictures: JPEG bytes and first caption of pictures to show.
    """

    records: int = 0
    heights: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    captions: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[tuple[bytes, str]] = field(default_factory=list)

    def share_cut(self, max_tokens: int) -> float:
        """Returns the share of captions with more than `max_tokens` tokens."""
        return sum(count > max_tokens for count in self.tokens) / len(self.tokens) if self.tokens else 0.0


def measure(
    config: SourceConfig,
    source: Source,
    *,
    num_records: int,
    num_pictures: int,
    count_tokens: Callable[[Sequence[str]], list[int]] | None = None,
) -> Measured:
    """Measures records that are spread evenly over a source.

    Args:
        config: of the source.
        source: the opened source.
        num_records: how many are read, at most all.
        num_pictures: how many of them are decoded, to be shown.
        count_tokens: the tokens of each of some captions, when they are to be counted.
    """
    found = Measured()
    for index in _spread(len(source), num_records):
        key = f"record {index}"
        try:
            record = read_record(config, source, index)
            key = record["key"]
            height, width = images.upright_size(record["image"], name=key)
        except UserError as error:
            found.unreadable.append((key, str(error)))
            continue
        found.records += 1
        found.heights.append(height)
        found.widths.append(width)
        found.captions.append(len(record["captions"]))
        found.words += [len(caption.split()) for caption in record["captions"]]
        if count_tokens is not None and record["captions"]:
            found.tokens += count_tokens(record["captions"])
    for index in _spread(len(source), num_pictures):
        try:
            record = read_record(config, source, index)
            shown = images.decode(record["image"], name=record["key"])
        except UserError:
            continue  # counted above, where the record was among those measured
        shown.thumbnail((THUMBNAIL, THUMBNAIL))
        file = io.BytesIO()
        shown.save(file, "JPEG", quality=85)
        found.pictures.append((file.getvalue(), record["captions"][0] if record["captions"] else ""))
    return found


def _spread(size: int, count: int) -> list[int]:
    count = min(size, count)
    return [number * size // count for number in range(count)]


def percentiles(values: Sequence[int]) -> dict[str, int]:
    """Returns the smallest, median, 95th percentile and largest of some values."""
    if not values:
        return {}
    quarters = np.percentile(values, [0, 50, 95, 100], method="nearest")
    return {
        name: int(value) for name, value in zip(("least", "median", "95%", "most"), quarters, strict=True)
    }
