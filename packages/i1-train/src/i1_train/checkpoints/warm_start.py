"""Starting from the state of an earlier stage."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

import jax
from i1_hooks import UserError
from i1_hooks.files import user_path

from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.checkpoints.manager import Checkpoints
from i1_train.devices.placement import put_whole
from i1_train.parameters import POSITIONS, Params
from i1_train.state import ShapesByPath, State


def next_stage(workdir: str, template: State, init_params: Callable[[], Params], steps: int) -> State:
    """Returns the newest state of an earlier stage: parameters, average, optimizer and step count.

    Position tables are computed anew for the resolution of the new stage. The data starts at its first
    record.

    Args:
        workdir: workdir of the earlier stage.
        template: shapes and shardings of the new state.
        init_params: returns the new stage's initial parameters; jittable.
        steps: number of steps of the new stage, which includes those of the earlier one.

    Raises:
        UserError: for a workdir without a readable checkpoint, a state that does not fit, or a stage that has
            already reached `steps`.
    """
    checkpoints = Checkpoints(user_path(workdir), Checkpointing())
    if not checkpoints.steps():
        raise UserError(f"start.workdir {workdir}: the folder holds no checkpoint; name the workdir of a run")
    wanted = template["params"]
    stored = checkpoints.shapes(checkpoints.steps()[-1])["params"]
    _check_shapes(workdir, stored, wanted)
    positions = [name for name in wanted if re.fullmatch(POSITIONS, name)]
    old_positions = {
        name: jax.ShapeDtypeStruct(stored[name].shape, wanted[name].dtype, sharding=_replicated(wanted[name]))
        for name in positions
    }
    old_template = {**template, "params": {**wanted, **old_positions}}
    try:
        restored = checkpoints.restore(old_template, move_damaged=False)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"start.workdir {workdir}: its state does not fit this recipe's optimizer: "
            f"{str(error).splitlines()[0][:200]}; use the same optimizer, or --init-from for weights alone"
        ) from error
    assert restored is not None
    state = cast("State", restored.state)
    if int(state["step"]) >= steps:
        raise UserError(
            f"start.workdir {workdir}: it is at step {int(state['step'])}, and steps counts all stages; set "
            f"steps to more than that, got {steps}"
        )
    new = jax.jit(lambda: {name: init_params()[name] for name in positions})()
    placed = {
        name: put_whole(new[name], cast("jax.sharding.NamedSharding", wanted[name].sharding))
        for name in positions
    }
    return {**state, "params": {**state["params"], **placed}}


def _check_shapes(workdir: str, stored: ShapesByPath, wanted: ShapesByPath) -> None:
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


def _replicated(wanted: jax.Array) -> jax.sharding.Sharding:
    """Returns a sharding for an array of another shape on the same devices: a copy on each."""
    sharding = wanted.sharding
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return sharding
