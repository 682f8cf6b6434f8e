"""i1 backbones, adapters, text encoders, autoencoders and the flow, in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i1_hooks.lazy import lazy_exports

if TYPE_CHECKING:
    from i1_model.config import ModelConfig
    from i1_model.denoiser import Denoiser, init_denoiser

__all__ = ["Denoiser", "ModelConfig", "init_denoiser"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Denoiser": "i1_model.denoiser",
        "ModelConfig": "i1_model.config",
        "init_denoiser": "i1_model.denoiser",
    },
)
