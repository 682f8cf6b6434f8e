"""Public names of a package that are imported on first use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_exports(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the `__getattr__` and the `__dir__` of a package whose public names are imported on first use.

    Importing the package then stays light. The names still stand under `if TYPE_CHECKING:` for type checkers
    and in `__all__`.

    Args:
        package: its `__name__`.
        modules: each public name, with the module that defines it.

    Example:
        `__getattr__, __dir__ = lazy_exports(__name__, {"Denoiser": "i1_model.denoiser"})`
    """

    def get_attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    def list_attributes() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get_attribute, list_attributes
