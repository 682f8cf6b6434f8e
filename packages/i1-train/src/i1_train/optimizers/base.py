"""The base of optimizers: a gradient transformation over arrays by path, built with a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from i1_hooks import ComponentConfig, UserError

from i1_train.checks import check_regular_expressions
from i1_train.parameters import ParameterInfo, Params, factors
from i1_train.schedules import Schedule

Mask = Callable[[Any], Any]
"""From parameters by path to a value for each, as optax takes masks."""

MomentDtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(ComponentConfig, kind="optimizers"):
    """Base of every optimizer's configuration.

    Attributes:
        weight_decay: decoupled weight decay (arXiv 1711.05101), multiplied by the learning rate; 0 for none.
        decay_multipliers: (regular expression, factor) pairs; the first that matches a whole released name
            scales the weight decay of that parameter, and a parameter that none matches does not decay. The
            default decays matrices only; `[[".*", 1.0]]` decays everything, biases and norms included.
    """

    weight_decay: float = 0.0
    decay_multipliers: tuple[tuple[str, float], ...] = ((r".*kernel", 1.0),)

    def __post_init__(self) -> None:
        if self.weight_decay < 0:
            raise UserError(f"optimizer.weight_decay must be 0 (none) or more, got {self.weight_decay}")
        check_regular_expressions(pattern for pattern, _ in self.decay_multipliers)
        for pattern, factor in self.decay_multipliers:
            if factor < 0:
                raise UserError(
                    f"optimizer.decay_multipliers: the factor of {pattern!r} must be 0 (none) or more, "
                    f"got {factor}"
                )

    def build(
        self, schedule: Schedule, parameters: Mapping[str, ParameterInfo]
    ) -> optax.GradientTransformation:
        """Returns the transformation from clipped gradients to updates that are added to the parameters.

        Gradients, parameters and updates are dicts by path with the keys of `parameters`; frozen ones are
        absent. The transformation applies weight decay to the parameters in `decayed`; training applies the
        other multipliers itself.

        Args:
            schedule: the learning rate.
            parameters: what each trained array is, by path.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")

    def decay_factors(self, parameters: Mapping[str, ParameterInfo]) -> dict[str, np.ndarray]:
        """Returns the factor of each parameter's weight decay, as `factors` does."""
        return {path: factors(info, self.decay_multipliers, default=0.0) for path, info in parameters.items()}

    def decayed(self, parameters: Mapping[str, ParameterInfo]) -> Mask:
        """Returns the mask of the parameters that decay with factor 1, as optax takes it."""
        found = self.decay_factors(parameters)
        return per_parameter({path: bool(np.all(factor == 1)) for path, factor in found.items()})


def per_parameter(values: Mapping[str, object]) -> Mask:
    """Returns a function from parameters to their values that keeps what `optax.partition` masks."""

    def select(params: Mapping[str, object]) -> dict[str, object]:
        return {
            path: param if isinstance(param, optax.MaskedNode) else values[path]
            for path, param in params.items()
        }

    return select


class ScaledDecayState(NamedTuple):
    """State of `scaled_decay`.

    Attributes:
        step: number of updates, int32 scalar.
    """

    step: jax.Array


def scaled_decay(
    config: OptimizerConfig, schedule: Schedule, parameters: Mapping[str, ParameterInfo]
) -> optax.GradientTransformation | None:
    """Returns the weight decay whose factor is neither 0 nor 1, which comes after the optimizer.

    It adds -lr * weight_decay * factor * parameter to the updates.

    Args:
        config: the optimizer, whose `build` applies the factors that are 1.
        schedule: the learning rate.
        parameters: what each trained array is, by path.

    Returns:
        `None` when every factor is 0 or 1.
    """
    found = config.decay_factors(parameters)
    scaled = {path: factor for path, factor in found.items() if np.any(factor) and not np.all(factor == 1)}
    if not scaled or not config.weight_decay:
        return None

    def init(params: Params) -> ScaledDecayState:
        del params
        return ScaledDecayState(jnp.zeros((), jnp.int32))

    def update(updates: Any, state: ScaledDecayState, params: Any = None) -> tuple[Params, ScaledDecayState]:
        rate = jnp.asarray(schedule(state.step), jnp.float32) * config.weight_decay
        decayed = {
            path: value - rate * jnp.broadcast_to(scaled[path], value.shape) * params[path]
            if path in scaled
            else value
            for path, value in updates.items()
        }
        return decayed, ScaledDecayState(state.step + 1)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]
