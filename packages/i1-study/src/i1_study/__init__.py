"""Controlled studies in small: recipes that differ in one axis, trained, scored and compared."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i1_study.base import Arm, Published, StudyConfig
    from i1_study.recipe import baseline

__all__ = ["Arm", "Published", "StudyConfig", "baseline"]

_HOME = {"Arm": "base", "Published": "base", "StudyConfig": "base", "baseline": "recipe"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
