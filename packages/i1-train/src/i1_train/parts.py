"""What a run is made of: the objects that a configuration names, built once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optax
from i1_hooks import UserError
from i1_model.autoencoders import Autoencoder
from i1_model.text_encoders import TextEncoder

from i1_train.config import POSITIONS, TrainConfig
from i1_train.leaves import check_patterns, describe, factors
from i1_train.network import Network, make_network
from i1_train.schedules import Schedule


@dataclass(frozen=True)
class Parts:
    """The built objects of a run.

    Attributes:
        network: the denoiser.
        text_encoders: frozen.
        autoencoder: frozen.
        schedule: the learning rate.
        optimizer: over the trained parameters.
        trained: their paths.
        trained_layers: per path, 0 for the layers of a stacked array that are frozen, else 1.
        update_factors: per path, the learning-rate multipliers, 0 for frozen layers.
    """

    network: Network
    text_encoders: tuple[TextEncoder, ...]
    autoencoder: Autoencoder
    schedule: Schedule
    optimizer: optax.GradientTransformation
    trained: tuple[str, ...]
    trained_layers: dict[str, np.ndarray]
    update_factors: dict[str, np.ndarray]

    @property
    def encoder_params(self) -> dict[str, Any]:
        """The frozen arrays of the text encoders and the autoencoder, an argument of the step."""
        return {
            "text": tuple(encoder.params for encoder in self.text_encoders),
            "autoencoder": self.autoencoder.params,
        }

    def tokenize(self, captions: Sequence[str]) -> tuple[dict[str, np.ndarray], ...]:
        """Tokenizes captions with every text encoder, on the host."""
        return tuple(encoder.tokenize(captions) for encoder in self.text_encoders)


def build_parts(config: TrainConfig) -> Parts:
    """Builds what a configuration names.

    Raises:
        UserError: for parts that do not fit together, or a pattern that matches no parameter.
    """
    config.check()
    network = make_network(config.model)
    leaves = describe(network.shapes)
    check_patterns("frozen", [pattern for pattern in config.frozen if pattern != POSITIONS], leaves)
    check_patterns("lr_multipliers", [pattern for pattern, _ in config.lr_multipliers], leaves)
    layers = {
        path: factors(leaf, [(pattern, 0.0) for pattern in config.frozen]) for path, leaf in leaves.items()
    }
    trained = {path: leaf for path, leaf in leaves.items() if np.any(layers[path])}
    if not trained:
        raise UserError(f"frozen: {', '.join(config.frozen)} leave no parameter to train")
    schedule = config.schedule.build(config.steps)
    return Parts(
        network=network,
        text_encoders=tuple(encoder.build() for encoder in config.model.text_encoders),
        autoencoder=config.model.autoencoder.build(),
        schedule=schedule,
        optimizer=config.optimizer.build(schedule, trained),
        trained=tuple(trained),
        trained_layers={path: layers[path] for path in trained},
        update_factors={
            path: layers[path] * factors(leaf, config.lr_multipliers) for path, leaf in trained.items()
        },
    )
