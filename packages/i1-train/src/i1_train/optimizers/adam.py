"""Adam, which i1 was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import optax

from i1_train.optimizers.base import MomentDtype, OptimizerConfig
from i1_train.parameters import ParameterInfo
from i1_train.schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class Adam(OptimizerConfig):
    """Adam (arXiv 1412.6980) with decoupled weight decay; the defaults are the published ones.

    Attributes:
        b1: decay of the first moment; a bfloat16 moment is decayed by 0.8984375, which is 0.9 in bfloat16.
        b2: decay of the second moment.
        eps: added to the root of the second moment.
        moment_dtype: dtype of the first moment; the second moment is float32.
    """

    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    moment_dtype: MomentDtype = "bfloat16"

    def build(
        self, schedule: Schedule, parameters: Mapping[str, ParameterInfo]
    ) -> optax.GradientTransformation:
        """Returns the transformation."""
        parts = [optax.scale_by_adam(b1=self.b1, b2=self.b2, eps=self.eps, mu_dtype=self.moment_dtype)]
        if self.weight_decay:
            parts.append(optax.add_decayed_weights(self.weight_decay, self.decayed(parameters)))
        return optax.chain(*parts, optax.scale_by_learning_rate(schedule))
