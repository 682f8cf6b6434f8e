"""Hooks for what i1-train is made of."""

from __future__ import annotations

from collections.abc import Iterable

from i1_hooks.component import Component
from i1_hooks.hookspecs.markers import hookspec


@hookspec
def i1_objectives() -> Iterable[Component]:
    """Returns objectives: training losses.

    Each is an `i1_train.objectives.ObjectiveConfig`.

    Example:
        from dataclasses import dataclass

        import jax.numpy as jnp
        from i1_hooks import Component, hookimpl
        from i1_train.objectives import FlowMatching


        @dataclass(frozen=True, kw_only=True)
        class AbsoluteError(FlowMatching):
            '''Mean absolute error of the velocity.'''

            def losses(self, flow, prediction, example):
                velocity = flow.velocity(prediction, example["noisy"], example["time"])
                target = flow.target(example["noise"], example["data"], example["time"])
                return jnp.abs(velocity - target).mean((1, 2, 3))


        @hookimpl
        def i1_objectives():
            return [Component("absolute", f"{__name__}:AbsoluteError", "mean absolute error")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_optimizers() -> Iterable[Component]:
    """Returns optimizers: gradient transformations.

    Each is an `i1_train.optimizers.base.OptimizerConfig`.

    Example:
        from dataclasses import dataclass

        import optax
        from i1_hooks import Component, hookimpl
        from i1_train.optimizers.base import OptimizerConfig


        @dataclass(frozen=True, kw_only=True)
        class Momentum(OptimizerConfig):
            '''Gradient descent with momentum.'''

            momentum: float = 0.9

            def build(self, schedule, parameters):
                return optax.sgd(schedule, self.momentum)


        @hookimpl
        def i1_optimizers():
            return [Component("momentum", f"{__name__}:Momentum", "descent with momentum")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_schedules() -> Iterable[Component]:
    """Returns schedules: learning rates over steps.

    Each is an `i1_train.schedules.ScheduleConfig`.

    Example:
        from dataclasses import dataclass

        import jax.numpy as jnp
        from i1_hooks import Component, hookimpl
        from i1_train.schedules import ScheduleConfig


        @dataclass(frozen=True, kw_only=True)
        class InverseRoot(ScheduleConfig):
            '''Constant, then falling as 1 / sqrt(step).'''

            lr: float = 1e-3
            start: int = 1000

            def build(self, steps):
                return lambda step: self.lr * jnp.sqrt(self.start / jnp.maximum(step, self.start))


        @hookimpl
        def i1_schedules():
            return [Component("inverse_root", f"{__name__}:InverseRoot", "1 / sqrt(step)")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_loggers() -> Iterable[Component]:
    """Returns loggers: where training metrics and pictures go.

    Each is an `i1_train.loggers.base.LoggerConfig`.

    Example:
        from dataclasses import dataclass

        from i1_hooks import Component, hookimpl
        from i1_train.loggers.base import Logger, LoggerConfig


        class TextFile(Logger):
            def __init__(self, path):
                self.file = path.open("a")

            def log(self, step, metrics):
                print(step, metrics["loss"], file=self.file)

            def flush(self):
                self.file.flush()

            def close(self):
                self.file.close()


        @dataclass(frozen=True, kw_only=True)
        class TextLogger(LoggerConfig):
            '''Step and loss as plain text in the workdir.'''

            file: str = "loss.txt"

            def build(self, workdir, step):
                return TextFile(workdir / self.file)


        @hookimpl
        def i1_loggers():
            return [Component("text", f"{__name__}:TextLogger", "step and loss as plain text")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_recipes() -> Iterable[Component]:
    """Returns recipes: functions without arguments that return one complete `i1_train.TrainConfig`.

    Example:
        from dataclasses import replace

        from i1_hooks import Component, get_registry, hookimpl


        def patient():
            '''The recipe `folder` at half its learning rate, for twice as long.'''
            recipe = get_registry().load("recipes", "folder")()
            slower = replace(recipe.schedule, lr=recipe.schedule.lr / 2)
            return replace(recipe, recipe="patient", schedule=slower, steps=2 * recipe.steps)


        @hookimpl
        def i1_recipes():
            return [Component("patient", f"{__name__}:patient", "folder, slower and longer")]
    """
    raise AssertionError("a specification is never called")
