"""Sources: random-access collections of captioned images."""

from i1_data.sources.base import Record, Source, SourceConfig

__all__ = ["Record", "Source", "SourceConfig"]
