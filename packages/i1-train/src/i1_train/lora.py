"""LoRA in a training run: what is trained, what is frozen, and what a checkpoint holds of it."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from i1_hooks.files import user_path
from i1_model.arrays.json_object import JsonObject
from i1_model.checkpoints.folder import save_model
from i1_model.config import ModelConfig
from i1_model.denoiser import Denoiser, init_denoiser
from i1_model.lora.attach import convert_base, init_adapted, untargeted
from i1_model.lora.config import Lora
from i1_model.lora.factors import from_params
from i1_model.lora.folder import save_adapter

from i1_train.checkpoints.weights import find_weights, read_weights
from i1_train.config import TrainConfig
from i1_train.network import Network
from i1_train.parameters import Params

BASE = r"(?!.*/lora/[ab]$).*"
"""Every parameter that LoRA does not add."""


def denoiser_builder(lora: Lora) -> Callable[..., Denoiser]:
    """Returns the function that makes a denoiser from a model configuration and a key."""
    return functools.partial(init_adapted, lora=lora) if lora.is_on else init_denoiser


def frozen_by_lora(model: ModelConfig, lora: Lora) -> tuple[str, ...]:
    """Returns patterns of all parameters but the LoRA of the adapted layers; none without LoRA."""
    if not lora.is_on:
        return ()
    return (BASE, *(f"{re.escape(name)}/lora/[ab]" for name in untargeted(model, lora)))


def load_base(config: TrainConfig, network: Network, *, abstract: bool = False) -> Params:
    """Returns the frozen arrays below LoRA, by path; none without LoRA.

    They are not part of the training state: every step reads them, and no checkpoint repeats them.

    Args:
        config: the recipe.
        network: the network with LoRA.
        abstract: whether to return shapes and read no weights.

    Raises:
        UserError: when the recipe names no weights, or they do not fit.
    """
    if not config.lora.is_on:
        return {}
    if abstract:
        shapes: dict[str, Any] = dict(network.shapes)
        return {path: shape for path, shape in shapes.items() if re.fullmatch(BASE, path)}
    if config.init_from is None:
        raise UserError(
            f"lora.rank {config.lora.rank} adapts trained weights: name them with --init-from PATH"
        )
    return convert_base(
        read_weights(config.init_from, config.model, config.lora), network.shapes, config.lora
    )


def write_model(
    folder: Path, config: TrainConfig, network: Network, params: Params, metadata: JsonObject
) -> None:
    """Writes the model folder of a checkpoint: the whole model, or its LoRA alone.

    Args:
        folder: the model folder, which is created.
        config: the recipe.
        network: the denoiser.
        params: averaged parameters by path.
        metadata: further entries of its `config.json`.

    Raises:
        UserError: when it cannot be written.
    """
    if not config.lora.is_on:
        save_model(folder, config.model, network.state(params), metadata=metadata)
        return
    assert config.init_from is not None
    lora, is_path = config.lora, user_path(config.init_from).exists()
    base = str(find_weights(config.init_from).resolve()) if is_path else config.init_from
    others = untargeted(config.model, lora)
    adapter = from_params(config.model, params, float(lora.alpha or lora.rank), others)
    save_adapter(folder, config.model, adapter, base=base, metadata=metadata)


def fingerprint(base: Params) -> str | None:
    """Returns a digest of the frozen arrays, the same on every kind of device; `None` without any."""
    if not base:
        return None
    digest = hashlib.sha256()
    for path, value in sorted(base.items()):
        digest.update(f"{path} {value.shape} {value.dtype} {int(_checksum(value))}\n".encode())
    return digest.hexdigest()[:16]


def check_base(base: Params, saved: str | None) -> None:
    """Checks that a resumed run has the weights it started with.

    Args:
        base: the frozen arrays now.
        saved: the digest that the checkpoint holds.

    Raises:
        UserError: when the weights have changed.
    """
    found = fingerprint(base)
    if saved != found:
        raise UserError(
            f"start.weights holds other weights than those this run started with ({saved} before, {found} "
            "now); restore them, or start a new run"
        )


@jax.jit
def _checksum(value: jax.Array) -> jax.Array:
    """Returns a uint32 that depends on every bit and its position."""
    wide = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[value.dtype.itemsize]
    if jnp.issubdtype(value.dtype, jnp.floating):
        value = jax.lax.bitcast_convert_type(value, wide)
    bits = value.astype(jnp.uint32).reshape(-1)
    places = jnp.arange(bits.shape[0], dtype=jnp.uint32) * np.uint32(2654435761) + np.uint32(1)
    return jnp.sum(bits * places, dtype=jnp.uint32)
