"""Every hook of i1: the map of the system.

A plugin is a module (or an object) with functions of these names, marked with `i1_hooks.hookimpl`, and named in the
entry-point group `i1` of its package. Each component hook returns an iterable of `Component` records; the code behind
a record is imported only when a recipe or a command uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pluggy

from i1_hooks.component import Component

PROJECT = "i1"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

KINDS: dict[str, str] = {
    "backbones": "networks that predict the flow target from noisy latents and text",
    "adapters": "networks between a text encoder and the backbone",
    "text_encoders": "frozen encoders from prompts to token embeddings",
    "autoencoders": "frozen maps between pixels and latents",
    "flows": "interpolant, training time law and prediction target",
    "objectives": "training losses",
    "optimizers": "gradient transformations",
    "schedules": "learning rates over steps",
    "sources": "random-access collections of captioned images",
    "filters": "predicates that drop records",
    "captioners": "rules that turn a record's captions into one caption",
    "mixings": "weights given to several sources",
    "solvers": "integrators of the sampling ODE",
    "time_grids": "the times a solver visits",
    "guidances": "combinations of conditional and unconditional velocity",
    "rewriters": "prompt expansion before encoding",
    "loggers": "where training metrics and pictures go",
    "judges": "measurements of one generated picture",
    "benchmarks": "prompt sets with their scoring",
    "models": "trained weights, found by name",
    "recipes": "complete training configurations",
    "commands": "subcommands of `i1`",
}
"""Every kind of component, with what it is."""


@hookspec
def i1_backbones() -> Iterable[Component]:
    """Returns backbones: networks that predict the flow target from noisy latents and text (each a `i1_model.backbones.BackboneConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_adapters() -> Iterable[Component]:
    """Returns adapters: networks between a text encoder and the backbone (each a `i1_model.adapters.AdapterConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_text_encoders() -> Iterable[Component]:
    """Returns text encoders: frozen encoders from prompts to token embeddings (each a `i1_model.text_encoders.TextEncoderConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_autoencoders() -> Iterable[Component]:
    """Returns autoencoders: frozen maps between pixels and latents (each a `i1_model.autoencoders.AutoencoderConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_flows() -> Iterable[Component]:
    """Returns flows: interpolant, training time law and prediction target (each a `i1_model.flow.FlowConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_objectives() -> Iterable[Component]:
    """Returns objectives: training losses (each a `i1_train.objectives.ObjectiveConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_optimizers() -> Iterable[Component]:
    """Returns optimizers: gradient transformations (each a `i1_train.optimizers.OptimizerConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_schedules() -> Iterable[Component]:
    """Returns schedules: learning rates over steps (each a `i1_train.schedules.ScheduleConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_sources() -> Iterable[Component]:
    """Returns sources: random-access collections of captioned images (each a `i1_data.sources.SourceConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_filters() -> Iterable[Component]:
    """Returns filters: predicates that drop records (each a `i1_data.filters.FilterConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_captioners() -> Iterable[Component]:
    """Returns captioners: rules that turn a record's captions into one caption (each a `i1_data.captioners.CaptionerConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_mixings() -> Iterable[Component]:
    """Returns mixings: weights given to several sources (each a `i1_data.mixings.MixingConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_solvers() -> Iterable[Component]:
    """Returns solvers: integrators of the sampling ODE (each a `i1_sample.solvers.SolverConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_time_grids() -> Iterable[Component]:
    """Returns time grids: the times a solver visits (each a `i1_sample.time_grids.TimeGridConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_guidances() -> Iterable[Component]:
    """Returns guidances: combinations of conditional and unconditional velocity (each a `i1_sample.guidances.GuidanceConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_rewriters() -> Iterable[Component]:
    """Returns rewriters: prompt expansion before encoding (each a `i1_sample.rewriters.RewriterConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_loggers() -> Iterable[Component]:
    """Returns loggers: where training metrics and pictures go (each a `i1_train.loggers.LoggerConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_judges() -> Iterable[Component]:
    """Returns judges: measurements of one generated picture (each a `i1_bench.judges.JudgeConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_benchmarks() -> Iterable[Component]:
    """Returns benchmarks: prompt sets with their scoring (each a `i1_bench.benchmarks.BenchmarkConfig`)."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_models() -> Iterable[Component]:
    """Returns models: functions without arguments that return the folder of a trained model as a `Path`."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_recipes() -> Iterable[Component]:
    """Returns recipes: functions without arguments that return one complete `i1_train.TrainConfig`."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_commands() -> Iterable[Component]:
    """Returns commands: functions that take the list of arguments after the command's name, print, and return a status."""
    raise AssertionError("a specification is never called")


@hookspec
def i1_run_started(workdir: Path, recipe: str, step: int) -> None:
    """Called on every host when a training run starts or resumes, before its first step."""


@hookspec
def i1_checkpoint_saved(workdir: Path, model: Path, step: int, prompts: tuple[str, ...]) -> None:
    """Called on the first host when a checkpoint is complete; `model` is a folder that sampling can load.

    `prompts` are the recipe's preview prompts.
    """


@hookspec
def i1_run_finished(workdir: Path, step: int, status: str) -> None:
    """Called on every host when a run ends; `status` is `"done"`, `"interrupted"` or `"failed"`."""


SPECIFICATIONS = (sys.modules[__name__],)
"""The modules that hold the specifications."""
