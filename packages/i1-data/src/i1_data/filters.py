"""Filters: predicates that decide which records are trained on."""

from __future__ import annotations

import functools
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@functools.lru_cache(maxsize=4096)
def _warn_once(message: str) -> None:
    _logger.warning("%s", message)
