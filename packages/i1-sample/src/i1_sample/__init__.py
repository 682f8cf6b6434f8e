"""Pictures from i1 models: solvers, guidance, the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i1_hooks.lazy import lazy_exports

if TYPE_CHECKING:
    from i1_sample.job import Job, PromptEmbeds, SampleOutput, StepEvent
    from i1_sample.options import LoadOptions, LoraSetting, SampleOptions
    from i1_sample.pipeline import Pipeline

__all__ = [
    "Job",
    "LoadOptions",
    "LoraSetting",
    "Pipeline",
    "PromptEmbeds",
    "SampleOptions",
    "SampleOutput",
    "StepEvent",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Job": "i1_sample.job",
        "LoadOptions": "i1_sample.options",
        "LoraSetting": "i1_sample.options",
        "Pipeline": "i1_sample.pipeline",
        "PromptEmbeds": "i1_sample.job",
        "SampleOptions": "i1_sample.options",
        "SampleOutput": "i1_sample.job",
        "StepEvent": "i1_sample.job",
    },
)
