"""What an optimizer is: a gradient transformation over arrays by path, built with a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import optax
from i1_hooks import ComponentConfig

from i1_train.parameters import Leaf
from i1_train.schedules import Schedule

MomentDtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(ComponentConfig, kind="optimizers"):
    """Base of every optimizer's configuration.

    Attributes:
        weight_decay: decoupled weight decay (arXiv 1711.05101), multiplied by the learning rate; 0 for none.
        decay_pattern: regular expression; only parameters whose released names it matches in full decay.
    """

    weight_decay: float = 0.0
    decay_pattern: str = r".*kernel"

    def build(self, schedule: Schedule, leaves: Mapping[str, Leaf]) -> optax.GradientTransformation:
        """Returns the transformation from clipped gradients to updates that are added to the parameters.

        Gradients, parameters and updates are dicts by path with the keys of `leaves`; frozen ones are absent.

        Args:
            schedule: the learning rate.
            leaves: what each array is.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")

    def decayed(self, leaves: Mapping[str, Leaf]) -> Callable[[Any], Any]:
        """Returns the mask of the parameters that decay, as optax takes it."""
        return per_leaf({path: leaf.matches(self.decay_pattern) for path, leaf in leaves.items()})


def per_leaf(values: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Returns a function from parameters to their values, which leaves out what `optax.partition` masks."""

    def select(params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            path: param if isinstance(param, optax.MaskedNode) else values[path]
            for path, param in params.items()
        }

    return select
