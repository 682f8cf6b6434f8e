"""Every hook of i1, and with them a map of the system.

A plugin is a module (or an object) with functions named `i1_<kind>`, marked with `i1_hooks.hookimpl`. It is
named in the entry-point group `i1` of its package, or given to `i1` as `--plugin FILE`. Each component hook
returns `Component` records; the code behind a record is imported only when a recipe or a command uses it.

The docstring of every specification holds a complete plugin file as its example.
"""

from i1_hooks.hookspecs import bench, data, host, model, sample, study, train
from i1_hooks.hookspecs.markers import PROJECT, hookimpl, hookspec

__all__ = ["KINDS", "PROJECT", "SPECIFICATIONS", "SUITES", "hookimpl", "hookspec"]

SPECIFICATIONS = (model, data, train, sample, bench, study, host)
"""The modules that hold the specifications, one per package that declares the base classes."""

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
    "studies": "controlled sets of recipes that differ in one axis",
    "models": "trained weights, found by name",
    "recipes": "complete training configurations",
    "commands": "subcommands of `i1`",
}
"""Every kind of component, with what it is."""

SUITES: dict[str, str] = {
    "backbones": "i1_model.testing.backbones:BackboneSuite",
    "adapters": "i1_model.testing.adapters:AdapterSuite",
    "text_encoders": "i1_model.testing.text_encoders:TextEncoderSuite",
    "autoencoders": "i1_model.testing.autoencoders:AutoencoderSuite",
    "flows": "i1_model.testing.flows:FlowSuite",
    "objectives": "i1_train.testing:ObjectiveSuite",
    "optimizers": "i1_train.testing:OptimizerSuite",
    "schedules": "i1_train.testing:ScheduleSuite",
    "sources": "i1_data.testing:SourceSuite",
    "filters": "i1_data.testing:FilterSuite",
    "captioners": "i1_data.testing:CaptionerSuite",
    "mixings": "i1_data.testing:MixingSuite",
    "solvers": "i1_sample.testing.solvers:SolverSuite",
    "time_grids": "i1_sample.testing.time_grids:TimeGridSuite",
    "guidances": "i1_sample.testing.guidances:GuidanceSuite",
    "rewriters": "i1_sample.testing.rewriters:RewriterSuite",
    "loggers": "i1_train.testing:LoggerSuite",
    "judges": "i1_bench.testing:JudgeSuite",
    "benchmarks": "i1_bench.testing:BenchmarkSuite",
    "studies": "i1_study.testing:StudySuite",
}
"""Where the conformance suite of a kind is; the kinds whose code is a function have none."""
