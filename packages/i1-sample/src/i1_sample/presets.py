"""Named groups of sampling options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Options under one name; what the caller gives takes precedence.

    Attributes:
        num_inference_steps: number of solver steps; None is the model's own.
        solver: the integrator's name; None is the model's own.
        time_grid: the grid's name; None is the model's own.
    """

    num_inference_steps: int | None = None
    solver: str | None = None
    time_grid: str | None = None


PRESETS = {
    "fast": Preset(num_inference_steps=30, solver="dpmpp_2m"),
    "close": Preset(num_inference_steps=30, solver="dpmpp_2m", time_grid="uniform"),
}
"""Chosen by name only, because the picture of a preset is not the published one."""
