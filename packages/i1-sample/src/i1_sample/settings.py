"""What decides a picture besides the model, the prompt and the noise: options completed by defaults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from i1_hooks import ComponentConfig, UserError, from_dict
from i1_model.sampling import Choice, SamplingDefaults, component_name

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.options import SampleOptions
from i1_sample.presets import PRESETS, Preset
from i1_sample.solvers.base import SolverConfig
from i1_sample.time_grids.base import TimeGridConfig

ComponentT = TypeVar("ComponentT", bound=ComponentConfig)


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Settings of one call, checked and complete.

    Attributes:
        num_inference_steps: number of solver steps, at least 1.
        guidance_scale: w; 1 is no guidance.
        solver: the integrator.
        time_grid: the times it visits.
        guidance: how the two velocities are combined.
    """

    num_inference_steps: int
    guidance_scale: float
    solver: SolverConfig
    time_grid: TimeGridConfig
    guidance: GuidanceConfig

    @property
    def is_guided(self) -> bool:
        """Whether the unconditional branch is evaluated at all."""
        return self.guidance.uses_unconditional and self.guidance_scale != 1


def resolve_settings(defaults: SamplingDefaults, options: SampleOptions) -> SampleSettings:
    """Completes options with a preset and a model's defaults.

    The options `shift` and `guidance_rescale` replace fields of the time grid and the guidance.

    Raises:
        UserError: for an unknown component, fields of it that do not fit, or a rescale or shift that a
            component lacks.
    """
    preset = PRESETS[options.preset] if options.preset is not None else Preset()
    solver = options.solver if options.solver is not None else preset.solver
    time_grid = options.time_grid if options.time_grid is not None else preset.time_grid
    grid = choose(TimeGridConfig, time_grid, defaults.time_grid)
    num_steps = _first(
        options.num_inference_steps,
        grid.fixed_num_steps,
        preset.num_inference_steps,
        defaults.num_inference_steps,
    )
    combination = choose(GuidanceConfig, options.guidance, defaults.guidance)
    return SampleSettings(
        num_inference_steps=num_steps,
        guidance_scale=_first(options.guidance_scale, defaults.guidance_scale),
        solver=choose(SolverConfig, solver, defaults.solver),
        time_grid=_with_field(grid, "shift", options.shift),
        guidance=_with_field(combination, "rescale", options.guidance_rescale),
    )


def choose(base: type[ComponentT], given: ComponentT | Choice | None, default: Choice) -> ComponentT:
    """Returns the component that was given, or the model's own for None and for its bare name.

    Raises:
        UserError: for an unknown name, or fields that do not fit.
    """
    if isinstance(given, base):
        return given
    if given is None or given == component_name(default, base.kind):
        given = default
    return from_dict(base, given, base.kind)


def _first(*values: Any) -> Any:
    """Returns the first value that is not None."""
    return next(value for value in values if value is not None)


def _with_field(config: Any, field: str, value: float | None) -> Any:
    if value is None:
        return config
    if field not in {f.name for f in dataclasses.fields(config)}:
        raise UserError(
            f"{field} {value} does not apply: {type(config).__name__} has no {field}; leave it out"
        )
    return dataclasses.replace(config, **{field: float(value)})
