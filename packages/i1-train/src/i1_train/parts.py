"""What a run is made of: the objects that a configuration names, built once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from i1_model.autoencoders import Autoencoder
from i1_model.text_encoders import TextEncoder

from i1_train.config import TrainConfig
from i1_train.lora import denoiser_builder, freeze_base, load_base
from i1_train.network import Network, make_network
from i1_train.parameters import Params, describe
from i1_train.update import Update, make_update


@dataclass(frozen=True, eq=False)
class Parts:
    """The built objects of a run.

    Attributes:
        network: the denoiser.
        text_encoders: frozen.
        autoencoder: frozen.
        update: how the trained parameters change.
        base: frozen arrays of the network that are no part of the training state, by path.
    """

    network: Network
    text_encoders: tuple[TextEncoder, ...]
    autoencoder: Autoencoder
    update: Update
    base: Params

    def constants(self, seed: int) -> dict[str, Any]:
        """Returns what every step reads and none changes: the run's key and the frozen arrays."""
        return {
            "key": jax.random.key(seed),
            "text": tuple(encoder.params for encoder in self.text_encoders),
            "autoencoder": self.autoencoder.params,
            "base": self.base,
        }

    def tokenize(self, captions: Sequence[str]) -> tuple[dict[str, np.ndarray], ...]:
        """Tokenizes captions with every text encoder, on the host."""
        return tuple(encoder.tokenize(captions) for encoder in self.text_encoders)


def build_parts(config: TrainConfig, *, abstract: bool = False) -> Parts:
    """Builds what a configuration names.

    Args:
        config: the recipe.
        abstract: whether frozen arrays are replaced by their shapes, so that no weights are read.

    Raises:
        UserError: for parts that do not fit together, or a pattern that matches no parameter.
    """
    config.check()
    network = make_network(config.model, denoiser_builder(config))
    autoencoder = config.model.autoencoder
    return Parts(
        network=network,
        text_encoders=tuple(
            encoder.build_abstract() if abstract else encoder.build()
            for encoder in config.model.text_encoders
        ),
        autoencoder=autoencoder.build_abstract() if abstract else autoencoder.build(),
        update=make_update(freeze_base(config), describe(network.shapes)),
        base=load_base(config, network, abstract=abstract),
    )
