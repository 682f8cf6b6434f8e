"""Hooks for what i1-data is made of."""

from __future__ import annotations

from collections.abc import Iterable

from i1_hooks.component import Component
from i1_hooks.hookspecs.markers import hookspec


@hookspec
def i1_sources() -> Iterable[Component]:
    """Returns sources: random-access collections of captioned images.

    Each is an `i1_data.sources.SourceConfig`.

    Example:
        from dataclasses import dataclass

        import numpy as np
        from i1_data.sources import SourceConfig
        from i1_hooks import Component, hookimpl


        class Greys:
            def __init__(self, size):
                self.size = size

            def __len__(self):
                return 256

            def __getitem__(self, index):
                image = np.full((self.size, self.size, 3), index, np.uint8)
                return {"image": image, "captions": [f"grey number {index}"], "key": str(index)}


        @dataclass(frozen=True, kw_only=True)
        class GreySource(SourceConfig):
            '''All 256 greys.'''

            size: int = 64

            def build(self):
                return Greys(self.size)


        @hookimpl
        def i1_sources():
            return [Component("greys", f"{__name__}:GreySource", "all 256 greys")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_filters() -> Iterable[Component]:
    """Returns filters: predicates that drop records.

    Each is an `i1_data.filters.FilterConfig`.

    Example:
        from dataclasses import dataclass

        from i1_data.filters import FilterConfig
        from i1_hooks import Component, hookimpl


        @dataclass(frozen=True, kw_only=True)
        class CaptionMentions(FilterConfig):
            '''Keeps records with a caption that holds a word.'''

            word: str = "circle"

            def keep(self, record):
                return any(self.word in caption for caption in record["captions"])


        @hookimpl
        def i1_filters():
            return [Component("mentions", f"{__name__}:CaptionMentions", "a caption holds a word")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_captioners() -> Iterable[Component]:
    """Returns captioners: rules that turn a record's captions into one caption.

    Each is an `i1_data.captioners.CaptionerConfig`.

    Example:
        from dataclasses import dataclass

        from i1_data.captioners import CaptionerConfig
        from i1_hooks import Component, hookimpl


        @dataclass(frozen=True, kw_only=True)
        class LastCaptioner(CaptionerConfig):
            '''Always the last caption.'''

            def caption(self, captions, rng):
                return captions[-1] if captions else ""


        @hookimpl
        def i1_captioners():
            return [Component("last", f"{__name__}:LastCaptioner", "the last caption")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_mixings() -> Iterable[Component]:
    """Returns mixings: weights given to several sources.

    Each is an `i1_data.mixings.MixingConfig`.

    Example:
        from dataclasses import dataclass

        from i1_data.mixings import MixingConfig
        from i1_hooks import Component, hookimpl


        @dataclass(frozen=True, kw_only=True)
        class PowerMixing(MixingConfig):
            '''Sizes to a power: 1 is by size, 0 is equal.'''

            exponent: float = 0.5

            def proportions(self, sizes):
                return tuple(size**self.exponent for size in sizes)


        @hookimpl
        def i1_mixings():
            return [Component("power", f"{__name__}:PowerMixing", "a power of the sizes")]
    """
    raise AssertionError("a specification is never called")
