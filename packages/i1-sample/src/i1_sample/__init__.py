"""Pictures from i1 models: solvers, guidance, the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i1_sample.job import SampleOutput, StepEvent
    from i1_sample.pipeline import Pipeline

__all__ = ["Pipeline", "SampleOutput", "StepEvent"]


def __getattr__(name: str) -> Any:
    # Imported on first use: reading the plugin's component list must not import jax.
    if name in __all__:
        from i1_sample import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
