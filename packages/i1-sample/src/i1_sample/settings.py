"""What decides a picture besides the model, the prompt and the seed."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, TypeVar

from i1_hooks import ComponentConfig, UserError, from_dict, unknown
from i1_model.sampling import Choice, SamplingDefaults, component_name

from i1_sample.guidances.base import GuidanceConfig
from i1_sample.solvers.base import SolverConfig
from i1_sample.time_grids import TimeGridConfig

ComponentT = TypeVar("ComponentT", bound=ComponentConfig)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Options under one name; what the caller gives goes before.

    Attributes:
        steps: steps of the solver; None leaves the model's.
        solver: the integrator; None leaves the model's.
    """

    steps: int | None = None
    solver: str | None = None


PRESETS = {"fast": Preset(steps=30, solver="dpmpp_2m")}
"""Never chosen but by name: a picture of a preset is not the published one."""


def find_preset(name: str | None) -> Preset:
    """Returns a preset, or without a name the one that changes nothing.

    Raises:
        UserError: for an unknown name.
    """
    if name is None:
        return Preset()
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Settings of one call, checked and complete.

    Attributes:
        num_steps: steps of the solver, at least 1.
        guidance_scale: w; 1 is no guidance.
        solver: the integrator.
        time_grid: the times it visits.
        guidance: how the two velocities are combined.
    """

    num_steps: int
    guidance_scale: float
    solver: SolverConfig
    time_grid: TimeGridConfig
    guidance: GuidanceConfig

    def __post_init__(self) -> None:
        check_integer("steps", self.num_steps, 1)
        if not _is_number(self.guidance_scale) or not math.isfinite(self.guidance_scale):
            raise UserError(f"guidance scale must be a finite number, got {self.guidance_scale!r}")

    @property
    def is_guided(self) -> bool:
        """Whether the unconditional branch is evaluated at all."""
        return self.guidance.uses_unconditional and self.guidance_scale != 1


def resolve_settings(
    defaults: SamplingDefaults,
    *,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    guidance_rescale: float | None = None,
    shift: float | None = None,
    solver: SolverConfig | Choice | None = None,
    time_grid: TimeGridConfig | Choice | None = None,
    guidance: GuidanceConfig | Choice | None = None,
) -> SampleSettings:
    """Completes what a caller gave with a model's defaults.

    A component is given as an object, a registered name, or a mapping with the name under `component`. None,
    or the name of the model's own component, is the model's own with its fields. The shift and the rescale
    replace fields of the time grid and the guidance.

    Raises:
        UserError: for an unknown name, a wrong type or range, or a rescale or shift that a component lacks.
    """
    grid = choose(TimeGridConfig, time_grid, defaults.time_grid)
    combination = choose(GuidanceConfig, guidance, defaults.guidance)
    return SampleSettings(
        num_steps=defaults.num_inference_steps if num_inference_steps is None else num_inference_steps,
        guidance_scale=defaults.guidance_scale if guidance_scale is None else guidance_scale,
        solver=choose(SolverConfig, solver, defaults.solver),
        time_grid=_with_field(grid, "shift", shift),
        guidance=_with_field(combination, "rescale", guidance_rescale),
    )


def choose(base: type[ComponentT], given: ComponentT | Choice | None, default: Choice) -> ComponentT:
    """Returns the component that was given, or the model's own for None and for its bare name.

    Raises:
        UserError: for an unknown name, or fields that do not fit.
    """
    if given is None or (isinstance(given, str) and given == component_name(default, base.kind)):
        given = default
    return component(base, given)


def component(base: type[ComponentT], given: ComponentT | Choice) -> Any:
    """Returns the component that an object, a name or a mapping stands for.

    Raises:
        UserError: for an unknown name, or fields that do not fit.
    """
    return given if isinstance(given, base) else from_dict(base, given, base.kind)


def _with_field(config: Any, field: str, value: float | None) -> Any:
    if value is None:
        return config
    if field not in {f.name for f in dataclasses.fields(config)}:
        raise UserError(
            f"{field} {value} does not apply: {type(config).__name__} has no {field}; leave it out"
        )
    if not _is_number(value):
        raise UserError(f"{field} must be a number, got {value!r}")
    return dataclasses.replace(config, **{field: float(value)})


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Checks an integer setting.

    Raises:
        UserError: unless value is an `int` from low to high.
    """
    bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or value < low
        or (high is not None and value > high)
    ):
        raise UserError(f"{name} must be an integer {bounds}, got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
