"""What components must return, checked on shapes alone before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from i1_hooks import ComponentConfig, UserError, get_registry
from i1_hooks.records import noun
from i1_hooks.returned import distribution_of, wrong_return
from i1_hooks.text import one_line
from i1_model.flow import FlowConfig

from i1_train.objectives import Example, ObjectiveConfig
from i1_train.optimizers.base import OptimizerConfig
from i1_train.parameters import Params
from i1_train.schedules import Schedule, ScheduleConfig
from i1_train.state import ShapesByPath
from i1_train.update import Update

FLOAT32 = jnp.dtype("float32")


def check_flow(flow: FlowConfig, shape: tuple[int, ...]) -> None:
    """Checks the shapes and dtypes that a flow returns.

    Args:
        flow: the flow.
        shape: shape of a batch of latents, (B, H, W, C).

    Raises:
        UserError: naming the flow, what it returned and what was expected.
    """
    latents, time, key = _float32(*shape), _float32(shape[0]), _key()
    times = _call(flow, "sample_times(key, B)", lambda key: flow.sample_times(key, shape[0]), key)
    _expect(flow, "sample_times(key, B)", times, (shape[0],))
    for name, arguments in (
        ("interpolate(noise, data, time)", (latents, latents, time)),
        ("target(noise, data, time)", (latents, latents, time)),
        ("velocity(prediction, noisy, time)", (latents, latents, time)),
    ):
        method = getattr(flow, name.partition("(")[0])
        _expect(flow, name, _call(flow, name, method, *arguments), shape)


def check_objective(objective: ObjectiveConfig, flow: FlowConfig, shape: tuple[int, ...]) -> None:
    """Checks the shapes and dtypes that an objective returns.

    Args:
        objective: the objective.
        flow: the flow it is used with.
        shape: shape of a batch of latents, (B, H, W, C).

    Raises:
        UserError: naming the objective, what it returned and what was expected.
    """
    latents, time = _float32(*shape), _float32(shape[0])
    drawn = _call(objective, "draw(...)", lambda key, data: objective.draw(flow, key, data), _key(), latents)
    example = _check_example(objective, "draw(...)", drawn, shape)
    at = _call(
        objective,
        "draw_at(...)",
        lambda key, data, time: objective.draw_at(flow, key, data, time),
        _key(),
        latents,
        time,
    )
    _check_example(objective, "draw_at(...)", at, shape)
    losses = _call(
        objective,
        "losses(...)",
        lambda prediction, example: objective.losses(flow, prediction, example),
        latents,
        example,
    )
    _expect(objective, "losses(...)", losses, (shape[0],), "the loss of each example")


def check_schedule(config: ScheduleConfig, schedule: Schedule) -> None:
    """Checks that a schedule returns a float32 scalar.

    Raises:
        UserError: naming the schedule, what it returned and what was expected.
    """
    if not callable(schedule):
        raise wrong_return(config, "build(...)", schedule, "a function of the step")
    rate = _call(config, "the function of build(...)", schedule, jax.ShapeDtypeStruct((), jnp.int32))
    _expect(config, "the function of build(...)", rate, ())


def check_update(config: OptimizerConfig, update: Update, shapes: ShapesByPath) -> None:
    """Checks that an optimizer returns updates like the parameters, and keeps the structure of its state.

    Args:
        config: the optimizer.
        update: the update rule it was built into.
        shapes: shapes of the parameters by path.

    Raises:
        UserError: naming the optimizer, what it returned and what was expected.
    """
    trained: Any = {path: shapes[path] for path in update.trained}
    state = _call(config, "init(parameters)", update.optimizer.init, trained)

    def apply(grads: Params, state: optax.OptState, params: Params) -> object:
        with jax.numpy_dtype_promotion("standard"):
            return update.optimizer.update(grads, state, params)

    updates, new_state = _call(config, "update(...)", apply, trained, state, trained)
    for path, shape in trained.items():
        found = updates.get(path) if isinstance(updates, Mapping) else updates
        if getattr(found, "shape", None) != shape.shape or getattr(found, "dtype", None) != shape.dtype:
            expected = f"{shape.dtype} {tuple(shape.shape)} for {path}"
            raise wrong_return(config, "update(...)", found, expected)
    before, after = (jax.tree.map(_signature, tree) for tree in (state, new_state))
    if before != after:
        raise wrong_return(config, "update(...)", new_state, "a state of the structure that init gave")


def _check_example(config: ComponentConfig, call: str, got: object, shape: tuple[int, ...]) -> Example:
    names = list(Example.__annotations__)
    if not isinstance(got, Mapping) or any(name not in got for name in names):
        raise wrong_return(config, call, got, f"a dict of {', '.join(names)}")
    for name in names:
        wanted = shape[:1] if name == "time" else shape
        _expect(config, f"{call}[{name!r}]", got[name], wanted)
    return got  # pyright: ignore[reportReturnType]


def _expect(
    config: ComponentConfig, call: str, got: object, shape: tuple[int, ...], meaning: str = ""
) -> None:
    if getattr(got, "shape", None) != shape or getattr(got, "dtype", None) != FLOAT32:
        expected = f"float32 {shape}" + (f", {meaning}" if meaning else "")
        raise wrong_return(config, call, got, expected)


def _call(config: ComponentConfig, call: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Returns the shapes of what a component's function returns; what is no array comes back as it is."""
    returned: list[object] = []

    def traced(*arguments: object) -> object:
        value = function(*arguments)
        returned[:] = [value]
        return value

    try:
        return jax.eval_shape(traced, *arguments)
    except UserError:
        raise
    except Exception as error:  # a component's code may fail in any way
        if returned:  # the function itself succeeded, and jax cannot take what it returned
            return returned[0]
        registered = get_registry().registered(type(config))
        name = registered.component.name if registered else type(config).__qualname__
        raise UserError(
            f"{noun(config.kind)} {name!r} ({distribution_of(config)}): {call} fails for arrays of this "
            f"recipe's shapes: {one_line(f'{type(error).__name__}: {error}')[:300]}"
        ) from error


def _signature(leaf: jax.ShapeDtypeStruct) -> tuple[tuple[int, ...], str]:
    return tuple(leaf.shape), str(leaf.dtype)


def _float32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _key() -> jax.ShapeDtypeStruct:
    return jax.eval_shape(lambda: jax.random.key(0))
