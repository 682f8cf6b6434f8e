"""How a model is sampled unless one says otherwise: the record that training stores and sampling reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from i1_hooks import Registry, UserError, from_dict, get_registry

Choice = str | Mapping[str, Any]
"""A component by its registered name, or as a mapping with the name under `component` and its fields."""

SLOTS = {"solver": "solvers", "time_grid": "time_grids", "guidance": "guidances", "rewriter": "rewriters"}
"""The fields of `SamplingDefaults` that name components, with the kind of each."""

PUBLISHED_SHIFT = 0.3

_FLAT = ("steps", "shift", "rescale")


def _published_grid() -> Choice:
    return {"component": "shifted", "shift": PUBLISHED_SHIFT}


def _published_guidance() -> Choice:
    return {"component": "cfg", "rescale": 1.0}


@dataclass(frozen=True, kw_only=True)
class SamplingDefaults:
    """A model's own sampling settings, stored as `sampling` in its `config.json`.

    The defaults of the fields are those of the published i1 models. Components are held as JSON data, because
    the code of most of them is in i1-sample, which training does not need.

    Attributes:
        num_inference_steps: number of solver steps, at least 1.
        guidance_scale: w; 1 is no guidance.
        solver: the integrator.
        time_grid: the times it visits.
        guidance: the combination of conditional and unconditional velocity.
        rewriter: what happens to a prompt before it is encoded.

    Raises:
        UserError: for a value of a wrong type or range; component names are checked by `check`.

    Example:
        SamplingDefaults(num_inference_steps=100, solver={"component": "ancestral", "eta": 0.5})
    """

    num_inference_steps: int = 250
    guidance_scale: float = 12.0
    solver: Choice = "euler"
    time_grid: Choice = field(default_factory=_published_grid)
    guidance: Choice = field(default_factory=_published_guidance)
    rewriter: Choice = "none"

    def __post_init__(self) -> None:
        steps, scale = self.num_inference_steps, self.guidance_scale
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise UserError(f"num_inference_steps must be an integer of at least 1, got {steps!r}")
        if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not math.isfinite(scale):
            raise UserError(f"guidance_scale must be a finite number, got {scale!r}")
        for slot in SLOTS:
            component_name(getattr(self, slot), slot)

    def check(self, path: str = "sampling", registry: Registry | None = None) -> None:
        """Checks every component's name and fields against the installed plugins.

        A kind of which nothing is installed, as without i1-sample, cannot be checked and is left for sampling
        to check.

        Raises:
            UserError: for an unknown name, or fields that do not fit.
        """
        registry = registry or get_registry()
        for slot, kind in SLOTS.items():
            if registry.components(kind):
                choice = getattr(self, slot)
                from_dict(registry.load(kind, component_name(choice, slot)), choice, f"{path}.{slot}")

    @property
    def shift(self) -> float | None:
        """The shift of a shifted or uniform time grid; None for any other grid."""
        name = component_name(self.time_grid, "time_grid")
        if name == "uniform":
            return 1.0
        if name != "shifted":
            return None
        fields = {} if isinstance(self.time_grid, str) else self.time_grid
        return float(fields.get("shift", PUBLISHED_SHIFT))


def component_name(choice: Choice, path: str) -> str:
    """Returns the registered name in a choice.

    Raises:
        UserError: when there is none.
    """
    name = choice.get("component") if isinstance(choice, Mapping) else choice
    if not isinstance(name, str):
        raise UserError(
            f"{path}: expected a component's name, or an object with the name under 'component', "
            f"got {choice!r}"
        )
    return name


def upgrade_sampling(data: Any) -> Any:
    """Returns stored sampling defaults in today's form.

    Until version 0.1 they were flat: `steps`, `guidance_scale`, `shift` of the grid, `rescale` of the
    guidance, and the solver's name. Anything else is returned as it is.
    """
    if not isinstance(data, Mapping) or not any(name in data for name in _FLAT):
        return data
    new = {name: value for name, value in data.items() if name not in _FLAT}
    if "steps" in data:
        new["num_inference_steps"] = data["steps"]
    if "shift" in data:
        new["time_grid"] = {"component": "shifted", "shift": data["shift"]}
    if "rescale" in data:
        new["guidance"] = {"component": "cfg", "rescale": data["rescale"]}
    return new


def read_sampling(data: Any, path: str = "sampling") -> SamplingDefaults:
    """Reads sampling defaults from JSON data, in today's form or the flat one.

    Raises:
        UserError: for an unknown field or a value that does not fit.
    """
    return from_dict(SamplingDefaults, upgrade_sampling(data), path)
