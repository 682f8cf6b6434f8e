"""Beginning from something that was trained before: weights alone, or the state of an earlier stage."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from i1_hooks import UserError, get_registry
from i1_model.checkpoint import WEIGHTS_FILE, load_model
from i1_model.config import ModelConfig
from i1_model.formats import load_released
from i1_model.names import flatten, from_released, to_released

from i1_train.checkpoints import MODEL, Checkpoints
from i1_train.config import POSITIONS, TrainConfig
from i1_train.leaves import Params
from i1_train.step import State


def with_weights(state: State, config: TrainConfig, path: str) -> State:
    """Returns a fresh state whose parameters and average are the weights in a file or folder.

    Args:
        state: of the first step; its arrays tell where the new ones live.
        config: the recipe.
        path: as `TrainConfig.init_from` says, or the name of an embedded model.

    Raises:
        UserError: for a path that holds no weights, or weights that do not fit the model.
    """
    weights = read_weights(path, config.model)
    params = {name: _placed(weights[name], old) for name, old in state["params"].items()}
    ema = {name: _placed(weights[name], old) for name, old in state["ema"].items()}
    return {**state, "params": params, "ema": ema}


def read_weights(path: str, model: ModelConfig) -> Params:
    """Reads averaged weights as a model needs them, its positions recomputed for its resolution.

    Raises:
        UserError: as `with_weights`.
    """
    place = find_weights(path)
    with _on_host():
        if (place / WEIGHTS_FILE).is_file():
            try:
                return flatten(from_released(model, to_released(load_model(place).params)))
            except UserError as error:
                raise UserError(f"init_from {path}: {error}") from error
        return flatten(load_released(place, model))


def find_weights(path: str) -> Path:
    """Returns the file or model folder that a path means.

    A workdir means its newest checkpoint, a checkpoint its model.

    Raises:
        UserError: for a path that does not exist, or a workdir without a checkpoint.
    """
    place = Path(path)
    if not place.exists():
        models = get_registry().components("models")
        if path in models:
            return Path(get_registry().load("models", path)())
        names = f", and no embedded model ({', '.join(sorted(models))})" if models else ""
        raise UserError(
            f"init_from {path}: no such file or folder{names}; name a model folder, a workdir, or a released "
            ".npz, .pt or .safetensors file"
        )
    if (place / MODEL / WEIGHTS_FILE).is_file():
        return place / MODEL
    if (place / "checkpoints").is_dir():
        steps = Checkpoints(place / "checkpoints", keep=1).steps()
        if not steps:
            raise UserError(f"init_from {path}: the workdir has no checkpoint yet")
        return place / "checkpoints" / str(steps[-1]) / MODEL
    return place


def next_stage(workdir: str, config: TrainConfig, template: Any, init: Callable[[], State]) -> State:
    """Returns the newest state of an earlier stage: parameters, average, optimizer and step count.

    Tables of positions are those of the new resolution. The data begins at its beginning.

    Args:
        workdir: of the earlier stage.
        config: the recipe of the new one.
        template: shapes and shardings of the new state.
        init: makes the new initial state; jittable.

    Raises:
        UserError: for a workdir without a whole checkpoint, a state that does not fit, or a stage that went
            as far as this one shall.
    """
    checkpoints = Checkpoints(Path(workdir) / "checkpoints", keep=1)
    if not checkpoints.steps():
        raise UserError(f"from_stage {workdir}: the folder holds no checkpoint; name the workdir of a run")
    stored = checkpoints.shapes(checkpoints.steps()[-1])["params"]
    wanted = template["params"]
    differing = [
        f"{name} {tuple(stored[name].shape) if name in stored else 'absent'} -> "
        f"{tuple(wanted[name].shape) if name in wanted else 'absent'}"
        for name in sorted(stored.keys() | wanted.keys())
        if not re.fullmatch(POSITIONS, name)
        and (name not in stored or name not in wanted or stored[name].shape != wanted[name].shape)
    ]
    if differing:
        shown = ", ".join(differing[:5]) + (f" and {len(differing) - 5} more" if len(differing) > 5 else "")
        raise UserError(f"from_stage {workdir}: its parameters do not fit this recipe: {shown}")
    positions = [name for name in wanted if re.fullmatch(POSITIONS, name)]
    old_positions = {
        name: jax.ShapeDtypeStruct(stored[name].shape, wanted[name].dtype, sharding=_whole(wanted[name]))
        for name in positions
    }
    try:
        restored = checkpoints.restore(
            {**template, "params": {**wanted, **old_positions}}, move_damaged=False
        )
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"from_stage {workdir}: its state does not fit this recipe's optimizer: "
            f"{str(error).splitlines()[0][:200]}; use the same optimizer, or --init-from for weights alone"
        ) from error
    assert restored is not None
    state = restored.state
    if int(state["step"]) >= config.steps:
        raise UserError(
            f"from_stage {workdir}: it is at step {int(state['step'])} and the step count goes on; set steps "
            f"to more than that, got {config.steps}"
        )
    new = jax.jit(lambda: {name: init()["params"][name] for name in positions})()
    placed = {name: jax.device_put(new[name], wanted[name].sharding) for name in positions}
    return {**state, "params": {**state["params"], **placed}}


def _placed(value: Any, old: jax.Array) -> jax.Array:
    """Returns a whole array of the host where the old one lives, on one device or many hosts."""
    whole = np.asarray(value, old.dtype)
    return jax.make_array_from_callback(whole.shape, old.sharding, lambda index: whole[index])


def _whole(wanted: Any) -> Any:
    """Returns a sharding for an array of another shape on the same devices: a copy on each."""
    sharding = wanted.sharding
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return sharding


def _on_host() -> contextlib.AbstractContextManager[Any]:
    """Keeps whole arrays out of an accelerator's memory, where jax has the CPU as a platform too."""
    platforms = jax.config.values["jax_platforms"]
    if platforms and "cpu" not in platforms.split(","):
        return contextlib.nullcontext()
    return jax.default_device(jax.local_devices(backend="cpu")[0])
