"""From gradients to new parameters: clipping, the optimizer, multipliers and frozen layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from i1_hooks import UserError

from i1_train.config import TrainConfig
from i1_train.optimizers.base import scaled_decay
from i1_train.parameters import POSITIONS, ParameterInfo, Params, check_patterns, factors, scale
from i1_train.schedules import Schedule


@dataclass(frozen=True, eq=False)
class Update:
    """The rule by which the trained parameters change; pure and jittable.

    Attributes:
        optimizer: gradient transformation over the trained parameters.
        schedule: the learning rate.
        layers: by path of a trained parameter, 0 for the frozen layers of a stacked array and 1 for all else.
        multipliers: by path, the factor of the parameter's update; 0 for frozen layers.
        clip_norm: largest global norm of the gradient; `None` for no clipping.
    """

    optimizer: optax.GradientTransformation
    schedule: Schedule
    layers: dict[str, np.ndarray]
    multipliers: dict[str, np.ndarray]
    clip_norm: float | None

    @property
    def trained(self) -> tuple[str, ...]:
        """The paths of the trained parameters; all others are frozen."""
        return tuple(self.layers)

    def init(self, trained: Params) -> optax.OptState:
        """Returns the state of the optimizer before the first step."""
        return self.optimizer.init(trained)

    def __call__(
        self, grads: Params, opt: optax.OptState, trained: Params
    ) -> tuple[Params, optax.OptState, jax.Array]:
        """Returns new parameters, the new state of the optimizer, and the gradient's norm before clipping."""
        grads, norm = clip(scale(grads, self.layers), self.clip_norm)
        with jax.numpy_dtype_promotion("standard"):  # optax adds float32 to a bfloat16 moment
            updates, opt = self.optimizer.update(grads, opt, trained)
        updates = scale(cast("Params", updates), self.multipliers)
        return cast("Params", optax.apply_updates(trained, updates)), opt, norm


def make_update(
    config: TrainConfig, parameters: Mapping[str, ParameterInfo], frozen: Sequence[str] = ()
) -> Update:
    """Builds the update rule of a recipe.

    Args:
        config: the recipe.
        parameters: what each array is, by path.
        frozen: further patterns of parameters that are not trained.

    Raises:
        UserError: for a pattern that matches no parameter, or when no parameter is left to train.
    """
    patterns = (*config.frozen, *frozen)
    check_patterns("frozen", [pattern for pattern in patterns if pattern != POSITIONS], parameters)
    check_patterns("lr_multipliers", [pattern for pattern, _ in config.lr_multipliers], parameters)
    layers = {
        path: factors(info, [(pattern, 0.0) for pattern in patterns]) for path, info in parameters.items()
    }
    trained = {path: info for path, info in parameters.items() if np.any(layers[path])}
    if not trained:
        raise UserError(f"frozen: {', '.join(patterns)} leave no parameter to train")
    schedule = config.schedule.build(config.steps)
    optimizer = config.optimizer.build(schedule, trained)
    decay = scaled_decay(config.optimizer, schedule, trained)
    return Update(
        optimizer=optimizer if decay is None else optax.chain(optimizer, decay),
        schedule=schedule,
        layers={path: layers[path] for path in trained},
        multipliers={
            path: layers[path] * factors(info, config.lr_multipliers) for path, info in trained.items()
        },
        clip_norm=config.clip_norm,
    )


def clip(grads: Params, largest: float | None) -> tuple[Params, jax.Array]:
    """Scales gradients down to a global norm of at most `largest`; returns them with the norm they had."""
    norm = cast("jax.Array", optax.tree.norm(grads))
    if largest is None:
        return grads, norm
    return {path: jnp.where(norm < largest, g, g / norm * largest) for path, g in grads.items()}, norm
