"""Muon: orthogonalised momentum for matrices, Adam for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optax
from optax import contrib

from i1_train.optimizers.adam import Adam
from i1_train.optimizers.base import MomentDtype, OptimizerConfig, per_parameter
from i1_train.parameters import ParameterInfo
from i1_train.schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class Muon(OptimizerConfig):
    """Muon (https://kellerjordan.github.io/posts/muon/) with updates of Adam's size (arXiv 2502.16982).

    A kernel stacked over layers is a batch of matrices; each is orthogonalised by itself.

    Attributes:
        momentum: decay of the momentum.
        nesterov: whether the momentum is Nesterov's.
        iterations: number of Newton-Schulz iterations.
        update_rms: root mean square of a matrix update before the learning rate; 0.2 is typical of Adam.
        matrix_pattern: regular expression; a matrix is orthogonalised if it matches its whole released name.
            Everything else is updated by Adam; by default also the first and the last layer.
        b1: decay of the first moment in Adam.
        b2: decay of the second moment in Adam.
        eps: added to denominators, in Muon and in Adam.
        moment_dtype: dtype of Muon's momentum; Adam's moments are float32.
    """

    momentum: float = 0.95
    nesterov: bool = True
    iterations: int = 5
    update_rms: float = 0.2
    matrix_pattern: str = r"(?!x_embedder/|final_layer/).*kernel"
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    moment_dtype: MomentDtype = "float32"

    def build(
        self, schedule: Schedule, parameters: Mapping[str, ParameterInfo]
    ) -> optax.GradientTransformation:
        """Returns the transformation."""
        matrices: Any = {path: self._matrix(info) for path, info in parameters.items()}
        adam = Adam(
            b1=self.b1,
            b2=self.b2,
            eps=self.eps,
            moment_dtype="float32",
            weight_decay=self.weight_decay,
            decay_multipliers=self.decay_multipliers,
        )
        muon = contrib.muon(
            schedule,
            ns_steps=self.iterations,
            beta=self.momentum,
            eps=self.eps,
            nesterov=self.nesterov,
            mu_dtype=self.moment_dtype,
            consistent_rms=self.update_rms,
            weight_decay=self.weight_decay,
            weight_decay_mask=self.decayed(parameters),
            muon_weight_dimension_numbers=per_parameter(matrices),
        )
        rules = {path: "adam" if matrix is None else "muon" for path, matrix in matrices.items()}
        return optax.partition({"muon": muon, "adam": adam.build(schedule, parameters)}, rules)

    def _matrix(self, info: ParameterInfo) -> contrib.MuonDimensionNumbers | None:
        """Returns the axes of a matrix, (inputs..., outputs) after the layer axis, or `None` for Adam."""
        first = int(info.stacked)
        if info.ndim - first < 2 or not info.matches(self.matrix_pattern):
            return None
        return contrib.MuonDimensionNumbers(tuple(range(first, info.ndim - 1)), info.ndim - 1)
