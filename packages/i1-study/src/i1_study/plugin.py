"""The components of i1-study."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 study`."""
    return [Component("study", "i1_study.cli:main", "train and compare recipes that differ in one axis")]


@hookimpl
def i1_studies() -> list[Component]:
    """Offers the published findings that can be tried on two CPU cores."""
    return [
        Component("adapter", "i1_study.model_axes:AdapterStudy", "an MLP or transformer blocks on the text"),
        Component("long_skip", "i1_study.model_axes:LongSkipStudy", "without or with long skips"),
        Component("adaln", "i1_study.model_axes:AdalnStudy", "with or without AdaLN"),
        Component("backbone", "i1_study.model_axes:BackboneStudy", "cross-attention, single or dual stream"),
        Component("prediction", "i1_study.model_axes:PredictionStudy", "predicting the velocity or the data"),
        Component("mixing", "i1_study.data_axes:MixingStudy", "unequal sets weighted by size or equally"),
    ]
