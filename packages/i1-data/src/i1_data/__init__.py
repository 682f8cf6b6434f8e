"""Sources, filters, captions, mixing and the grain input pipeline of i1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i1_hooks.lazy import lazy_exports

if TYPE_CHECKING:
    from i1_data.captioners import CaptionerConfig as CaptionerConfig
    from i1_data.config import DataConfig as DataConfig
    from i1_data.filters import FilterConfig as FilterConfig
    from i1_data.mixings import MixingConfig as MixingConfig
    from i1_data.pipeline import Batches as Batches
    from i1_data.pipeline import make_batches as make_batches
    from i1_data.sources import Record as Record
    from i1_data.sources import Source as Source
    from i1_data.sources import SourceConfig as SourceConfig

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Batches": "i1_data.pipeline",
        "CaptionerConfig": "i1_data.captioners",
        "DataConfig": "i1_data.config",
        "FilterConfig": "i1_data.filters",
        "MixingConfig": "i1_data.mixings",
        "Record": "i1_data.sources",
        "Source": "i1_data.sources",
        "SourceConfig": "i1_data.sources",
        "make_batches": "i1_data.pipeline",
    },
)
