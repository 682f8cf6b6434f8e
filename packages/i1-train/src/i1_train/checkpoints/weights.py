"""The weights a run begins from, whatever form they come in."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from i1_hooks import UserError
from i1_model.arrays.dtypes import weight_dtype
from i1_model.arrays.trees import flatten
from i1_model.checkpoints.locate import locate_model
from i1_model.checkpoints.names import from_released
from i1_model.checkpoints.stored import open_stored
from i1_model.lora.attach import FLOAT32_LAYERS
from i1_model.lora.folder import is_adapter
from i1_model.lora.layers import find_layers

from i1_train.config import TrainConfig
from i1_train.parameters import Params


def find_weights(path: str) -> Path:
    """Returns the file or model folder that `start.weights` names.

    A workdir means its newest checkpoint, a checkpoint its model, a name a registered model.

    Raises:
        UserError: when there is none, or a LoRA, which is not a whole model.
    """
    try:
        place, _ = locate_model(path)
    except UserError as error:
        raise UserError(f"start.weights {path}: {error}") from error
    if is_adapter(place):
        raise UserError(f"start.weights {path} holds a LoRA alone; name a whole model")
    return place


def read_weights(config: TrainConfig, path: str) -> Params:
    """Returns the weights as a recipe's network has them, by path, positions for its resolution.

    Matrices that LoRA keeps frozen are in `lora.base_dtype`, the rest is float32.

    Raises:
        UserError: for a path that holds no weights, or weights that do not fit the model.
    """
    narrow = set()
    if config.lora.is_on:
        layers = find_layers(config.model)
        narrow = {f"{layer.name}/kernel" for layer in layers if layer.path not in FLOAT32_LAYERS}
    place = find_weights(path)
    try:
        with _on_host(), open_stored(place, resolution=config.model.resolution) as stored:
            dtype = {True: weight_dtype(config.lora.base_dtype), False: weight_dtype("float32")}
            arrays = {name: array.astype(dtype[name in narrow]) for name, array in stored.arrays.items()}
            return flatten(from_released(config.model, arrays))
    except UserError as error:
        raise UserError(f"start.weights {path}: {error}") from error


def with_weights(state: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    """Returns the state before the first step with the weights of `start`, averaged and not.

    Raises:
        UserError: as `read_weights`.
    """
    assert config.init_from is not None
    weights = read_weights(config, config.init_from)
    params = {path: _placed(weights[path], old) for path, old in state["params"].items()}
    ema = {path: _placed(weights[path], old) for path, old in state["ema"].items()}
    return {**state, "params": params, "ema": ema}


def _placed(value: Any, old: jax.Array) -> jax.Array:
    """Returns a whole array of the host where the old one lives, on one device or many hosts."""
    whole = np.asarray(value, old.dtype)
    return jax.make_array_from_callback(whole.shape, old.sharding, lambda index: whole[index])


def _on_host() -> contextlib.AbstractContextManager[Any]:
    """Keeps whole arrays out of an accelerator's memory, where jax has the CPU as a platform too."""
    platforms = jax.config.values["jax_platforms"]
    if platforms and "cpu" not in platforms.split(","):
        return contextlib.nullcontext()
    return jax.default_device(jax.local_devices(backend="cpu")[0])
