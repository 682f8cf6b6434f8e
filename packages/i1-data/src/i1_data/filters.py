"""Filters: predicates that decide which records are trained on."""

from __future__ import annotations

import functools
import hashlib
import logging
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from i1_hooks import ComponentConfig, UserError
from i1_hooks.text import one_line

from i1_data import images

if TYPE_CHECKING:
    from i1_data.sources import Record

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FilterConfig(ComponentConfig, ABC, kind="filters"):
    """Base of every filter's configuration."""

    @abstractmethod
    def keep(self, record: Record) -> bool:
        """Says whether a record stays; a pure function of the record, called from several threads."""


@dataclass(frozen=True, kw_only=True)
class MinSizeFilter(FilterConfig):
    """Drops images whose shorter edge is below a number of pixels, so that nothing is enlarged.

    Reads the header of an encoded image, not its pixels.
    """

    shorter_edge: int

    def __post_init__(self) -> None:
        if self.shorter_edge < 1:
            raise UserError(f"min_size: shorter_edge must be at least 1 pixel, got {self.shorter_edge}")

    def keep(self, record: Record) -> bool:
        """Says whether the shorter edge is long enough.

        Raises:
            UserError: for an image whose header cannot be read.
        """
        return min(images.image_size(record["image"], name=record["key"])) >= self.shorter_edge


@dataclass(frozen=True, kw_only=True)
class HasCaptionFilter(FilterConfig):
    """Drops records without a caption; captions of white space do not count."""

    def keep(self, record: Record) -> bool:
        """Says whether any caption has text."""
        return any(caption.strip() for caption in record["captions"])


@dataclass(frozen=True, kw_only=True)
class ReadableFilter(FilterConfig):
    """Drops images that cannot be decoded, and logs one warning for each of them.

    Every image is decoded once more for the check. Without this filter a broken image is an error. Put it
    before filters that look at the image.
    """

    def keep(self, record: Record) -> bool:
        """Says whether the image decodes."""
        try:
            images.decode(record["image"], name=record["key"])
        except UserError as error:
            _warn_once(one_line(f"left out: {error}"))
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class AspectFilter(FilterConfig):
    """Drops images whose longer edge is more than `max_ratio` times the shorter one."""

    max_ratio: float

    def __post_init__(self) -> None:
        if not 1 <= self.max_ratio < float("inf"):
            raise UserError(f"aspect: max_ratio must be a number from 1 on, got {self.max_ratio}")

    def keep(self, record: Record) -> bool:
        """Says whether the image is not too long; reads its header.

        Raises:
            UserError: for an image whose header cannot be read.
        """
        shorter, longer = sorted(images.image_size(record["image"], name=record["key"]))
        return longer <= self.max_ratio * shorter


@dataclass(frozen=True, kw_only=True)
class BytesPerPixelFilter(FilterConfig):
    """Drops encoded images with few bytes per pixel: compressed too much, or showing next to nothing.

    Images that are given as pixels pass.
    """

    least: float

    def __post_init__(self) -> None:
        if not 0 < self.least < float("inf"):
            raise UserError(f"bytes_per_pixel: least must be a positive number, got {self.least}")

    def keep(self, record: Record) -> bool:
        """Says whether the file is large enough for its pixels; reads its header.

        Raises:
            UserError: for an image whose header cannot be read.
        """
        image = record["image"]
        height, width = images.image_size(image, name=record["key"])
        return isinstance(image, np.ndarray) or len(image) >= self.least * height * width


@dataclass(frozen=True, kw_only=True)
class FlatFilter(FilterConfig):
    """Drops images whose grey values hardly differ: empty, black or of one colour.

    Attributes:
        least: standard deviation of the grey values, from 0 to 127.
    """

    least: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.least <= 127:
            raise UserError(f"flat: least must be above 0 and at most 127, got {self.least}")

    def keep(self, record: Record) -> bool:
        """Says whether the image shows something; decodes it.

        Raises:
            UserError: for an image that cannot be decoded.
        """
        grey = images.decode(record["image"], name=record["key"]).convert("L")
        return bool(np.asarray(grey).std() >= self.least)


@dataclass(frozen=True, kw_only=True)
class CaptionWordsFilter(FilterConfig):
    """Drops records without a caption of `least` to `most` words."""

    least: int = 1
    most: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most:
            raise UserError(f"caption_words: expected 0 <= least <= most, got {self.least} and {self.most}")

    def keep(self, record: Record) -> bool:
        """Says whether any caption has such a length."""
        return any(self.least <= len(caption.split()) <= self.most for caption in record["captions"])


@dataclass(frozen=True, kw_only=True)
class CaptionPatternFilter(FilterConfig):
    """Keeps records with a caption in which a regular expression is found, or drops them.

    Attributes:
        pattern: the expression, for `re.search`.
        keep_matches: whether records that match stay, or those that do not.
    """

    pattern: str
    keep_matches: bool = True

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise UserError(f"caption_pattern: {self.pattern!r} is no regular expression: {error}") from error

    def keep(self, record: Record) -> bool:
        """Says whether a caption matches, or that none does."""
        return any(re.search(self.pattern, caption) for caption in record["captions"]) is self.keep_matches


@dataclass(frozen=True, kw_only=True)
class SubsampleFilter(FilterConfig):
    """Keeps a share of the records, chosen by a hash of their keys: a larger share keeps the same records.

    Attributes:
        share: of the records, from 0 to 1.
        held_out: keep the others instead, for a held-out set that is disjoint whatever is added.
        salt: another one gives another choice.
    """

    share: float
    held_out: bool = False
    salt: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise UserError(f"subsample: share must be from 0 to 1, got {self.share}")

    def keep(self, record: Record) -> bool:
        """Says whether the hash of the key falls into the share."""
        digest = hashlib.sha256(f"{self.salt}/{record['key']}".encode()).digest()
        return (int.from_bytes(digest[:8], "big") < self.share * 2**64) is not self.held_out


@functools.lru_cache(maxsize=4096)
def _warn_once(message: str) -> None:
    _logger.warning("%s", message)
