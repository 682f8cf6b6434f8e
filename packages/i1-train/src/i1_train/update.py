"""From gradients to new parameters: clipping, the optimizer, multipliers, frozen layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from i1_hooks import UserError

from i1_train.config import POSITIONS, TrainConfig
from i1_train.parameters import Leaf, Params, check_patterns, factors, scale
from i1_train.schedules import Schedule


@dataclass(frozen=True, eq=False)
class Update:
    """The rule by which the trained parameters change; pure and jittable.

    Attributes:
        optimizer: over the trained parameters.
        schedule: the learning rate.
        layers: per path of a trained parameter, 0 for the layers of a stacked array that are frozen, else 1.
        multipliers: per path, the factor of its update, 0 for frozen layers.
        clip_norm: largest global norm of the gradient.
    """

    optimizer: optax.GradientTransformation
    schedule: Schedule
    layers: dict[str, np.ndarray]
    multipliers: dict[str, np.ndarray]
    clip_norm: float | None

    @property
    def trained(self) -> tuple[str, ...]:
        """The paths of the trained parameters; the others are frozen."""
        return tuple(self.layers)

    def init(self, trained: Params) -> Any:
        """Returns the state of the optimizer before the first step."""
        return self.optimizer.init(trained)

    def __call__(self, grads: Params, opt: Any, trained: Params) -> tuple[Params, Any, jax.Array]:
        """Returns new parameters, the optimizer's new state and the gradient's norm before clipping."""
        grads, norm = clip(scale(grads, self.layers), self.clip_norm)
        with jax.numpy_dtype_promotion("standard"):  # optax adds float32 to a bfloat16 moment
            updates, opt = self.optimizer.update(grads, opt, trained)
        updates = scale(cast("Params", updates), self.multipliers)
        return cast("Params", optax.apply_updates(trained, updates)), opt, norm


def make_update(config: TrainConfig, leaves: Mapping[str, Leaf]) -> Update:
    """Builds the rule for the parameters that `leaves` describes.

    Raises:
        UserError: for a pattern that matches no parameter, or no parameter left to train.
    """
    check_patterns("frozen", [pattern for pattern in config.frozen if pattern != POSITIONS], leaves)
    check_patterns("lr_multipliers", [pattern for pattern, _ in config.lr_multipliers], leaves)
    frozen = [(pattern, 0.0) for pattern in config.frozen]
    layers = {path: factors(leaf, frozen) for path, leaf in leaves.items()}
    trained = {path: leaf for path, leaf in leaves.items() if np.any(layers[path])}
    if not trained:
        raise UserError(f"frozen: {', '.join(config.frozen)} leave no parameter to train")
    schedule = config.schedule.build(config.steps)
    return Update(
        optimizer=config.optimizer.build(schedule, trained),
        schedule=schedule,
        layers={path: layers[path] for path in trained},
        multipliers={
            path: layers[path] * factors(leaf, config.lr_multipliers) for path, leaf in trained.items()
        },
        clip_norm=config.clip_norm,
    )


def clip(grads: Params, largest: float | None) -> tuple[Params, jax.Array]:
    """Scales gradients down to a global norm of at most `largest`; returns them with the norm they had."""
    norm = cast("jax.Array", optax.tree.norm(grads))
    if largest is None:
        return grads, norm
    return {path: jnp.where(norm < largest, g, g / norm * largest) for path, g in grads.items()}, norm
