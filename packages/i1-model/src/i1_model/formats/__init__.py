"""Checkpoints in files: `.npz`, `.pt` and safetensors, read lazily and without PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i1_model.formats.released import WeightsName, load_released, open_released

__all__ = ["WeightsName", "load_released", "open_released"]


def __getattr__(name: str) -> Any:
    # On first use: the readers of single files are imported by modules that `released` builds upon.
    if name in __all__:
        from i1_model.formats import released

        return getattr(released, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
