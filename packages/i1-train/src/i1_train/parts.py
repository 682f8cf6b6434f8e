"""The objects that a recipe names, built once for a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from i1_model.autoencoders import Autoencoder
from i1_model.text_encoders import TextEncoder

from i1_train.config import TrainConfig
from i1_train.contracts import check_flow, check_objective, check_schedule, check_update
from i1_train.lora import denoiser_builder, frozen_by_lora, load_base
from i1_train.network import Network, make_network
from i1_train.parameters import Params, describe_parameters
from i1_train.state import Constants
from i1_train.update import Update, make_update


@dataclass(frozen=True, eq=False)
class Parts:
    """The built objects of a run.

    Attributes:
        network: the denoiser.
        text_encoders: the frozen text encoders.
        autoencoder: the frozen autoencoder.
        update: how the trained parameters change.
        base: frozen parameters below LoRA by path, which are not part of the training state.
    """

    network: Network
    text_encoders: tuple[TextEncoder, ...]
    autoencoder: Autoencoder
    update: Update
    base: Params

    def constants(self, seed: int) -> Constants:
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
    """Builds the objects that a recipe names, and checks what its components return.

    Args:
        config: the recipe.
        abstract: whether frozen arrays are replaced by their shapes, so that no weights are read.

    Raises:
        UserError: for objects that do not fit together, a pattern that matches no parameter, or a component
            that returns arrays of a wrong shape or dtype.
    """
    config.check()
    shape = (config.batch_size // config.grad_accumulation, *config.model.latent_shape)
    check_flow(config.model.flow, shape)
    check_objective(config.objective, config.model.flow, shape)
    check_schedule(config.schedule, config.schedule.build(config.steps))
    network = make_network(config.model, denoiser_builder(config.lora))
    frozen = frozen_by_lora(config.model, config.lora)
    update = make_update(config, describe_parameters(network.shapes), frozen)
    check_update(config.optimizer, update, network.shapes)
    autoencoder = config.model.autoencoder
    return Parts(
        network=network,
        text_encoders=tuple(
            encoder.build_abstract() if abstract else encoder.build()
            for encoder in config.model.text_encoders
        ),
        autoencoder=autoencoder.build_abstract() if abstract else autoencoder.build(),
        update=update,
        base=load_base(config, network, abstract=abstract),
    )
