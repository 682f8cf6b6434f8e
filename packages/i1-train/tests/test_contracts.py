"""Components that return something else than they should are named before anything is compiled."""

import dataclasses
from dataclasses import dataclass

import jax.numpy as jnp
import optax
import pytest
import small_runs as runs
from i1_hooks import Component, Registry, UserError, hookimpl, use_registry
from i1_hooks.registry import installed_plugins
from i1_model.flow import RectifiedFlow
from i1_train.loggers.base import LoggerConfig
from i1_train.loggers.group import LoggerGroup
from i1_train.objectives import FlowMatching
from i1_train.optimizers.base import OptimizerConfig
from i1_train.parts import build_parts
from i1_train.schedules import ScheduleConfig

BATCH = r"\(4, 8, 8, 192\)"


@dataclass(frozen=True, kw_only=True)
class LyingObjective(FlowMatching):
    lie: str = ""

    def draw(self, flow, key, data):
        example = super().draw(flow, key, data)
        if self.lie == "none":
            return None
        if self.lie == "no time":
            return {name: value for name, value in example.items() if name != "time"}
        if self.lie == "bfloat16 noise":
            return {**example, "noise": example["noise"].astype(jnp.bfloat16)}
        return example

    def losses(self, flow, prediction, example):
        losses = super().losses(flow, prediction, example)
        if self.lie == "raises":
            return losses + jnp.zeros((7, 7))
        wrong = {
            "per channel": jnp.zeros((4, 192)),
            "scalar": losses.mean(),
            "integers": losses.astype(jnp.int32),
            "text": "low",
        }
        return wrong.get(self.lie, losses)


@dataclass(frozen=True, kw_only=True)
class LyingFlow(RectifiedFlow):
    lie: str = ""

    def sample_times(self, key, batch):
        times = super().sample_times(key, batch)
        return times[:, None] if self.lie == "times" else times

    def velocity(self, prediction, noisy, time):
        velocity = super().velocity(prediction, noisy, time)
        return velocity[..., :1] if self.lie == "velocity" else velocity


@dataclass(frozen=True, kw_only=True)
class LyingSchedule(ScheduleConfig):
    lie: str = ""

    def build(self, steps):
        if self.lie == "number":
            return 1e-3
        return lambda step: step if self.lie == "integer" else jnp.ones((3,))


@dataclass(frozen=True, kw_only=True)
class LyingOptimizer(OptimizerConfig):
    lie: str = ""

    def build(self, schedule, parameters):
        def update(updates, state, params=None):
            if self.lie == "shape":
                return {path: value[None] for path, value in updates.items()}, state
            if self.lie == "bfloat16":
                return {path: value.astype(jnp.bfloat16) for path, value in updates.items()}, state
            return updates, jnp.zeros(3)

        return optax.GradientTransformation(lambda params: (), update)


@dataclass(frozen=True, kw_only=True)
class LyingLogger(LoggerConfig):
    lie: str = ""

    def build(self, workdir, step):
        if self.lie == "raises":
            raise ConnectionError("no\nnetwork")
        return print


@dataclass(frozen=True, kw_only=True)
class ListObjective(FlowMatching):
    layers: list[int] = dataclasses.field(default_factory=list)


class Plugin:
    @hookimpl
    def i1_objectives(self):
        return [
            Component("lying", f"{__name__}:LyingObjective", "lies"),
            Component("list", f"{__name__}:ListObjective", "has a list"),
        ]

    @hookimpl
    def i1_flows(self):
        return [Component("lying", f"{__name__}:LyingFlow", "lies")]

    @hookimpl
    def i1_schedules(self):
        return [Component("lying", f"{__name__}:LyingSchedule", "lies")]

    @hookimpl
    def i1_optimizers(self):
        return [Component("lying", f"{__name__}:LyingOptimizer", "lies")]

    @hookimpl
    def i1_loggers(self):
        return [Component("lying", f"{__name__}:LyingLogger", "lies")]


@pytest.fixture(autouse=True)
def registry():
    with use_registry(Registry([*installed_plugins(), ("liar", "liar-plugin", "1.2", Plugin)])) as registry:
        yield registry


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"objective": LyingObjective(lie="per channel")},
            r"losses\(...\) returned float32 \(4, 192\), expected float32 \(4,\), the loss of each example",
        ),
        ({"objective": LyingObjective(lie="scalar")}, r"returned float32 \(\), expected float32 \(4,\)"),
        ({"objective": LyingObjective(lie="integers")}, r"returned int32 \(4,\), expected float32 \(4,\)"),
        ({"objective": LyingObjective(lie="text")}, r"returned str 'low', expected float32 \(4,\)"),
        ({"objective": LyingObjective(lie="none")}, "returned None, expected a dict of data, noise, time"),
        ({"objective": LyingObjective(lie="no time")}, "expected a dict of data, noise, time, noisy"),
        (
            {"objective": LyingObjective(lie="bfloat16 noise")},
            rf"draw\(...\)\['noise'\] returned bfloat16 {BATCH}, expected float32 {BATCH}",
        ),
        ({"objective": LyingObjective(lie="raises")}, r"losses\(...\) fails for arrays of this recipe's"),
        ({"schedule": LyingSchedule(lie="number")}, "returned float 0.001, expected a function of the step"),
        ({"schedule": LyingSchedule(lie="integer")}, r"returned int32 \(\), expected float32 \(\)"),
        ({"schedule": LyingSchedule(lie="shape")}, r"returned float32 \(3,\), expected float32 \(\)"),
        (
            {"optimizer": LyingOptimizer(lie="shape")},
            r"update\(...\) returned float32 \(1, .*, expected float32",
        ),
        (
            {"optimizer": LyingOptimizer(lie="bfloat16")},
            r"update\(...\) returned bfloat16 .*, expected float32",
        ),
        ({"optimizer": LyingOptimizer(lie="state")}, "expected a state of the structure that init gave"),
    ],
)
def test_a_component_that_lies_is_named(change, message):
    config = dataclasses.replace(runs.recipe(), **change)
    with pytest.raises(UserError, match=rf"^[a-z]+ 'lying' \(liar-plugin 1\.2\): .*{message}") as caught:
        build_parts(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ("times", r"sample_times\(key, B\) returned float32 \(4, 1\), expected float32 \(4,\)"),
        ("velocity", rf"velocity\(.*\) returned float32 \(4, 8, 8, 1\), expected float32 {BATCH}"),
    ],
)
def test_a_flow_that_lies_is_named(lie, message):
    config = runs.recipe()
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, flow=LyingFlow(lie=lie)))
    with pytest.raises(UserError, match=rf"^flow 'lying' \(liar-plugin 1\.2\): {message}"):
        build_parts(config)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ("wrong", r"logger 'lying' \(liar-plugin 1\.2\): build\(...\) returned builtin_function.*Logger"),
        ("raises", "logger 'lying' cannot be opened: ConnectionError: no network"),
    ],
)
def test_a_logger_that_lies_is_named(tmp_path, lie, message):
    with pytest.raises(UserError, match=message):
        LoggerGroup((LyingLogger(lie=lie),), tmp_path, 0)


def test_a_field_that_json_cannot_hold_is_refused_before_training(tmp_path):
    config = dataclasses.replace(runs.recipe(), objective=ListObjective(layers=[1, 2]))
    from i1_train.loop import train

    with pytest.raises(UserError, match=r"ListObjective\.layers: JSON cannot give back list\[int\]"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
