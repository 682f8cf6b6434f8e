"""i1 backbones, adapters, text encoders, autoencoders and the flow, in JAX."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i1_model.config import ModelConfig
    from i1_model.denoiser import Denoiser, init_denoiser

_PLACES = {
    "Denoiser": "i1_model.denoiser",
    "ModelConfig": "i1_model.config",
    "init_denoiser": "i1_model.denoiser",
}
__all__ = ["Denoiser", "ModelConfig", "init_denoiser"]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use, so that importing the package stays light."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
