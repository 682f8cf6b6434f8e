"""Beginning from the state of an earlier stage."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from i1_hooks import UserError

from i1_train.checkpoints.manager import Checkpoints
from i1_train.config import POSITIONS, TrainConfig
from i1_train.devices.placement import put_whole
from i1_train.step import State


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
        raise UserError(f"start.workdir {workdir}: the folder holds no checkpoint; name the workdir of a run")
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
        raise UserError(f"start.workdir {workdir}: its parameters do not fit this recipe: {shown}")
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
            f"start.workdir {workdir}: its state does not fit this recipe's optimizer: "
            f"{str(error).splitlines()[0][:200]}; use the same optimizer, or --init-from for weights alone"
        ) from error
    assert restored is not None
    state = restored.state
    if int(state["step"]) >= config.steps:
        raise UserError(
            f"start.workdir {workdir}: it is at step {int(state['step'])} and the step count goes on; set "
            f"steps to more than that, got {config.steps}"
        )
    new = jax.jit(lambda: {name: init()["params"][name] for name in positions})()
    placed = {name: put_whole(new[name], wanted[name].sharding) for name in positions}
    return {**state, "params": {**state["params"], **placed}}


def _whole(wanted: Any) -> Any:
    """Returns a sharding for an array of another shape on the same devices: a copy on each."""
    sharding = wanted.sharding
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return sharding
