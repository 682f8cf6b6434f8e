"""Reading of one visit: which record it shows, prepared, with its caption."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from i1_hooks import UserError
from i1_hooks.returned import wrong_return
from i1_hooks.text import one_line

from i1_data import images
from i1_data.buckets import nearest_bucket
from i1_data.config import DataConfig
from i1_data.filters import FilterConfig
from i1_data.sources import Record, Source, SourceConfig
from i1_data.subset import candidates, num_places

MAX_ATTEMPTS = 1000
"""How many records a visit may draw before the filters are said to leave nothing."""

WARNED = 4096
"""How many different records are warned of; further ones are left out without a word each."""

Visit = tuple[int, int]
"""The number of a source, and a place in it."""

Sample = tuple[np.ndarray, str, str]
"""The prepared image, the caption and the key of a visit."""

_logger = logging.getLogger(__name__)


class Reader:
    """The opened sources of a configuration, and the record that each visit shows.

    Args:
        config: what to read.

    Raises:
        UserError: for sources that cannot be opened or hold nothing.
    """

    def __init__(self, config: DataConfig) -> None:
        self._config = config
        self._sources = [open_source(source) for source in config.sources]
        self._warned: set[str] = set()
        self.sizes = [len(source) for source in self._sources]

    def draw(self, visit: Visit, rng: np.random.Generator) -> Sample:
        """Returns the prepared image, the caption and the key of one visit."""
        record = self._choose(visit, rng)
        config = self._config
        size = config.buckets[self._bucket(record)] if config.buckets else config.resolution
        try:
            pixels = images.prepare(record["image"], size, name=record["key"])
        except UserError as error:
            raise UserError(f"{config.sources[visit[0]]}: {error}") from error
        caption = config.captioner.caption(record["captions"], rng)
        if not isinstance(caption, str):
            raise wrong_return(config.captioner, "caption(...)", caption, "a string")
        return pixels, caption, record["key"]

    def find_bucket(self, visit: Visit, rng: np.random.Generator) -> int:
        """Returns the bucket of one visit; only the header of an encoded image is read."""
        record = self._choose(visit, rng)
        try:
            return self._bucket(record)
        except UserError as error:
            raise UserError(f"{self._config.sources[visit[0]]}: {error}") from error

    def _bucket(self, record: Record) -> int:
        size = images.upright_size(record["image"], name=record["key"])
        return nearest_bucket(self._config.buckets, *size)

    def _choose(self, visit: Visit, rng: np.random.Generator) -> Record:
        """Returns the record of one visit.

        A record that a filter drops, or that a source which is not strict cannot read, is replaced by another
        one of the same source (`i1_data.subset.candidates`), so that proportions hold whatever is dropped.
        """
        number, place = visit
        where = self._config.sources[number]
        size = self.sizes[number]
        numbers = candidates(size, num_places(size, self._config.max_records), place, rng)
        for index in itertools.islice(numbers, MAX_ATTEMPTS):
            try:
                record = read_record(where, self._sources[number], index)
            except UserError as error:
                if where.strict:
                    raise UserError(
                        f"{where}: {error}; set strict=false to leave such records out"
                    ) from error
                self._warn(f"left out: {error}")
                continue
            try:
                if all(keeps(keeper, record) for keeper in self._config.filters):
                    return record
            except UserError as error:
                raise UserError(f"{where}: {error}") from error
        filters = ", ".join(map(str, self._config.filters))
        raise UserError(
            f"{where}: {MAX_ATTEMPTS} records in a row were dropped{f' by {filters}' if filters else ''}; "
            "loosen the filters or leave this source out"
        )

    def _warn(self, message: str) -> None:
        if message not in self._warned and len(self._warned) < WARNED:
            self._warned.add(message)
            _logger.warning("%s", one_line(message))


def open_source(config: SourceConfig) -> Source:
    """Opens a source and makes sure that it is one with records.

    Raises:
        UserError: for a source that cannot be opened or holds nothing, and naming a component that returns
            something else than a source.
    """
    source: Any = config.build()
    if not callable(getattr(source, "__len__", None)) or not callable(getattr(source, "__getitem__", None)):
        raise wrong_return(config, "build()", source, "an object with __len__ and __getitem__")
    if len(source) == 0:
        raise UserError(f"{config} holds no records")
    return source


def read_record(config: SourceConfig, source: Source, index: int) -> Record:
    """Reads a record and makes sure that it has the fields of one.

    Raises:
        UserError: for a record that cannot be read, and naming a component that returns something else.
    """
    record: Any = source[index]
    call = f"record {index}"
    if not isinstance(record, Mapping):
        raise wrong_return(config, call, record, "a mapping with image, captions and key")
    missing = [name for name in ("image", "captions", "key") if name not in record]
    if missing:
        raise wrong_return(
            config, call, record, f"a mapping with image, captions and key; {', '.join(missing)} is missing"
        )
    image, captions, key = record["image"], record["captions"], record["key"]
    if not isinstance(image, (bytes, np.ndarray)):
        raise wrong_return(
            config, f"{call}['image']", image, "the bytes of a file or uint8 of shape (height, width, 3)"
        )
    if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        raise wrong_return(config, f"{call}['captions']", captions, "a list of strings")
    if not isinstance(key, str) or not key:
        raise wrong_return(config, f"{call}['key']", key, "a string that is not empty")
    if isinstance(image, np.ndarray) and (image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3):
        raise wrong_return(config, f"{call}['image']", image, "uint8 of shape (height, width, 3)")
    return record  # pyright: ignore[reportReturnType]


def keeps(keeper: FilterConfig, record: Record) -> bool:
    """Says whether a filter keeps a record.

    Raises:
        UserError: from the filter, and naming one that returns something else than True or False.
    """
    kept: Any = keeper.keep(record)
    if not isinstance(kept, (bool, np.bool_)):
        raise wrong_return(keeper, f"keep(record {record['key']!r})", kept, "True or False")
    return bool(kept)
