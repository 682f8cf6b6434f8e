"""The configuration of the training data."""

from __future__ import annotations

from dataclasses import dataclass, field

from i1_hooks import UserError

from i1_data.buckets import Size, check_buckets
from i1_data.captioners import CaptionerConfig, UniformCaptioner
from i1_data.filters import FilterConfig
from i1_data.mixings import EqualMixing, MixingConfig
from i1_data.sources import SourceConfig

_MAY_CHANGE = {"may_change_on_resume": True}  # i1-train reads it: these two only say how batches are made


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is trained on, and how it is read.

    Attributes:
        sources: the collections of captioned images, at least one.
        resolution: edge of the square training images, in pixels.
        mixing: how often each source is visited.
        filters: a record must pass all of them, in this order.
        max_records: of every source, at most so many records are used, 0 for all: it is divided into that
            many runs of neighbours, and the first of each that passes the filters stands for it.
        captioner: which of a record's captions a visit uses.
        buckets: (height, width) pairs in pixels, multiples of 16. Every image is resized and cropped to the
            one whose aspect is nearest to its own, and a batch holds images of one bucket; with none, images
            are squares of `resolution`.
        num_threads: background threads that make whole batches; 0 makes them in the caller's thread.
        prefetch: how many batches may wait ready; 0 makes them in the caller's thread.

    Raises:
        UserError: for no sources, or a number out of range.
    """

    sources: tuple[SourceConfig, ...]
    resolution: int
    mixing: MixingConfig = field(default_factory=EqualMixing)
    filters: tuple[FilterConfig, ...] = ()
    max_records: int = 0
    captioner: CaptionerConfig = field(default_factory=UniformCaptioner)
    buckets: tuple[Size, ...] = ()
    num_threads: int = field(default=2, metadata=_MAY_CHANGE)
    prefetch: int = field(default=2, metadata=_MAY_CHANGE)

    def __post_init__(self) -> None:
        if not self.sources:
            raise UserError("data.sources is empty; name at least one source")
        check_buckets(self.buckets)
        for name, least in (("resolution", 1), ("max_records", 0), ("num_threads", 0), ("prefetch", 0)):
            if getattr(self, name) < least:
                raise UserError(f"data.{name} must be at least {least}, got {getattr(self, name)}")
