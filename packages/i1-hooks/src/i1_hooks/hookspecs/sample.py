"""Hooks for what i1-sample is made of."""

from __future__ import annotations

from collections.abc import Iterable

from i1_hooks.component import Component
from i1_hooks.hookspecs.markers import hookspec


@hookspec
def i1_solvers() -> Iterable[Component]:
    """Returns solvers: integrators of the sampling ODE.

    Each is an `i1_sample.solvers.SolverConfig`.

    Example:
        from dataclasses import dataclass
        from typing import ClassVar

        from i1_hooks import Component, hookimpl
        from i1_sample.solvers import SolverConfig


        @dataclass(frozen=True, kw_only=True)
        class Ralston(SolverConfig):
            '''Ralston's method: order 2, two evaluations, the least error bound of its kind.'''

            order: ClassVar[int] = 2
            num_evaluations: ClassVar[int] = 2

            def step(self, velocity, x, carry, t, t_next):
                h = t_next - t
                first = velocity(x, t)
                second = velocity(x + (2 / 3) * h * first, t + (2 / 3) * h)
                return x + h * (0.25 * first + 0.75 * second), carry


        @hookimpl
        def i1_solvers():
            return [Component("ralston", f"{__name__}:Ralston", "order 2, two evaluations")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_time_grids() -> Iterable[Component]:
    """Returns time grids: the times a solver visits.

    Each is an `i1_sample.time_grids.TimeGridConfig`.

    Example:
        from dataclasses import dataclass

        import numpy as np
        from i1_hooks import Component, hookimpl
        from i1_sample.time_grids import TimeGridConfig


        @dataclass(frozen=True, kw_only=True)
        class BothEnds(TimeGridConfig):
            '''Small steps at both ends.'''

            def times(self, num_steps):
                u = np.linspace(0, 1, num_steps + 1)
                return ((1 - np.cos(np.pi * u)) / 2).astype(np.float32)


        @hookimpl
        def i1_time_grids():
            return [Component("both_ends", f"{__name__}:BothEnds", "small steps at both ends")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_guidances() -> Iterable[Component]:
    """Returns guidances: combinations of conditional and unconditional velocity.

    Each is an `i1_sample.guidances.GuidanceConfig`.

    Example:
        from dataclasses import dataclass

        from i1_hooks import Component, hookimpl
        from i1_sample.guidances import GuidanceConfig


        @dataclass(frozen=True, kw_only=True)
        class Fading(GuidanceConfig):
            '''Classifier-free guidance that fades out towards the data.'''

            def combine(self, conditional, unconditional, scale, t):
                strength = (scale - 1) * (1 - t)
                return conditional + strength * (conditional - unconditional)


        @hookimpl
        def i1_guidances():
            return [Component("fading", f"{__name__}:Fading", "guidance that fades out")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_rewriters() -> Iterable[Component]:
    """Returns rewriters: prompt expansion before encoding.

    Each is an `i1_sample.rewriters.RewriterConfig`.

    Example:
        from dataclasses import dataclass

        from i1_hooks import Component, hookimpl
        from i1_sample.rewriters import RewriterConfig


        @dataclass(frozen=True, kw_only=True)
        class Plain(RewriterConfig):
            '''Leaves out a final full stop and spaces around the prompt.'''

            def rewrite(self, prompts):
                return [prompt.strip().removesuffix(".") for prompt in prompts]


        @hookimpl
        def i1_rewriters():
            return [Component("plain", f"{__name__}:Plain", "no full stop, no spaces around")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_models() -> Iterable[Component]:
    """Returns models: functions without arguments that return a trained model's folder.

    The result is the `Path` of a folder with `config.json` and `model.safetensors`, as in every checkpoint. A
    function that downloads weights keeps them in a cache folder and returns that.

    Example:
        from pathlib import Path

        from i1_hooks import Component, UserError, hookimpl


        def mine():
            '''The weights that lie beside this file.'''
            folder = Path(__file__).parent / "my_model"
            if not folder.is_dir():
                raise UserError(f"no folder {folder}: copy a model there")
            return folder


        @hookimpl
        def i1_models():
            return [Component("mine", f"{__name__}:mine", "weights beside this file")]
    """
    raise AssertionError("a specification is never called")
