"""The weights a run starts from, in whatever form they are stored."""

from __future__ import annotations

import contextlib
from pathlib import Path

import jax
import numpy as np
from i1_hooks import UserError
from i1_model.arrays.dtypes import weight_dtype
from i1_model.arrays.trees import flatten
from i1_model.checkpoints.locate import locate_model
from i1_model.checkpoints.names import from_released
from i1_model.checkpoints.stored import open_stored
from i1_model.config import ModelConfig
from i1_model.lora.attach import FLOAT32_LAYERS
from i1_model.lora.config import Lora
from i1_model.lora.folder import is_adapter
from i1_model.lora.layers import find_layers

from i1_train.parameters import Params
from i1_train.state import State


def find_weights(path: str) -> Path:
    """Returns the file or model folder that `start.weights` names.

    For a workdir it is the model of the newest checkpoint, for a name the registered model.

    Raises:
        UserError: when there are no weights, or only a LoRA, which is not a whole model.
    """
    try:
        place, _ = locate_model(path)
    except UserError as error:
        raise UserError(f"start.weights {path}: {error}") from error
    if is_adapter(place):
        raise UserError(f"start.weights {path} holds only a LoRA; name a whole model")
    return place


def read_weights(path: str, model: ModelConfig, lora: Lora) -> Params:
    """Returns stored weights as the network of a recipe needs them, by path.

    Matrices that LoRA keeps frozen have the dtype `lora.base_dtype`; everything else is float32. Position
    tables are those of the model's resolution.

    Args:
        path: as for `find_weights`.
        model: the model of the recipe.
        lora: the adaptation of the recipe.

    Raises:
        UserError: for a path without weights, or weights that do not fit the model.
    """
    narrow = set()
    if lora.is_on:
        narrow = {f"{layer.name}/kernel" for layer in find_layers(model) if layer.path not in FLOAT32_LAYERS}
    place = find_weights(path)
    try:
        with _on_host(), open_stored(place, resolution=model.resolution) as stored:
            dtype = {True: weight_dtype(lora.base_dtype), False: weight_dtype("float32")}
            arrays = {name: array.astype(dtype[name in narrow]) for name, array in stored.arrays.items()}
            return flatten(from_released(model, arrays))
    except UserError as error:
        raise UserError(f"start.weights {path}: {error}") from error


def with_weights(state: State, weights: Params) -> State:
    """Returns an initial state whose parameters and average are these weights."""
    params = {path: _like(old, weights[path]) for path, old in state["params"].items()}
    ema = {path: _like(old, weights[path]) for path, old in state["ema"].items()}
    return {**state, "params": params, "ema": ema}


def _like(old: jax.Array, value: object) -> jax.Array:
    """Returns a whole host array with the dtype and sharding of another, which may span several hosts."""
    whole = np.asarray(value, old.dtype)
    return jax.make_array_from_callback(whole.shape, old.sharding, lambda index: whole[index])


def _on_host() -> contextlib.AbstractContextManager[object]:
    """Keeps whole arrays out of an accelerator's memory, if jax has the CPU as a platform too."""
    platforms = jax.config.values["jax_platforms"]
    if platforms and "cpu" not in platforms.split(","):
        return contextlib.nullcontext()
    return jax.default_device(jax.local_devices(backend="cpu")[0])
