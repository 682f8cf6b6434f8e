"""Adafactor: factored second moments, which take almost no memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import optax

from i1_train.optimizers.base import OptimizerConfig
from i1_train.parameters import ParameterInfo
from i1_train.schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class Adafactor(OptimizerConfig):
    """Adafactor (arXiv 1804.04235) with an external learning rate and no first moment.

    Attributes:
        decay_rate: exponent of the second moment's decay, 1 - n^-decay_rate at step n.
        clipping_threshold: largest root mean square of one array's update before the learning rate.
        min_dim_size_to_factor: arrays with a smaller dimension keep the whole second moment.
    """

    decay_rate: float = 0.8
    clipping_threshold: float = 1.0
    min_dim_size_to_factor: int = 128

    def build(
        self, schedule: Schedule, parameters: Mapping[str, ParameterInfo]
    ) -> optax.GradientTransformation:
        """Returns the transformation."""
        parts = [
            optax.scale_by_factored_rms(
                decay_rate=self.decay_rate, min_dim_size_to_factor=self.min_dim_size_to_factor
            ),
            optax.clip_by_block_rms(self.clipping_threshold),
        ]
        if self.weight_decay:
            parts.append(optax.add_decayed_weights(self.weight_decay, self.decayed(parameters)))
        return optax.chain(*parts, optax.scale_by_learning_rate(schedule))
