"""Recipes: functions that return a complete training configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i1_train.config import TrainConfig


def load_recipe(name: str, assignments: Sequence[str] = ()) -> TrainConfig:
    """Returns a recipe with `path=value` settings applied.

    Raises:
        UserError: for an unknown recipe, or a setting that does not fit.
    """
    from i1_hooks import UserError, get_registry, override

    from i1_train.config import TrainConfig

    config = get_registry().load("recipes", name)()
    if not isinstance(config, TrainConfig):
        raise UserError(f"recipe {name!r} returned {type(config).__name__}, expected i1_train.TrainConfig")
    return override(config, assignments)
