"""Meshes of devices, and how training state and batches are sharded over them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from i1_model.ops.chips import chip_name
from i1_model.ops.sharding import AXES, BATCH
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from i1_train.devices.machines import MachineMesh, Rules
from i1_train.parameters import ParameterInfo, describe_parameters
from i1_train.state import ShapesByPath

Device = Any
"""A device of jax, which has no public type for it."""

SMALL = 2**16
"""An array of fewer elements is replicated along an axis that does not divide it."""


def make_mesh(machine: MachineMesh, devices: Sequence[Device] | None = None) -> Mesh:
    """Returns the device mesh of a machine, in which neighbours are also neighbours on a TPU's network.

    Args:
        machine: the shape of the mesh, for exactly these devices.
        devices: all devices of all hosts by default.
    """
    devices = list(jax.devices() if devices is None else devices)
    if devices[0].platform == "tpu":
        grid = mesh_utils.create_device_mesh(machine.shape, devices, allow_split_physical_axes=True)
    else:
        grid = np.asarray(devices).reshape(machine.shape)
    return Mesh(grid, AXES)


def device_kind(device: Device) -> str:
    """Returns `"cpu"`, `"gpu"`, or the generation of a TPU such as `"v5p"`."""
    if device.platform != "tpu":
        return str(device.platform)
    return chip_name(str(device.device_kind))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of the arrays of a batch: along their first axis."""
    return NamedSharding(mesh, PartitionSpec(BATCH))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of arrays that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


THREE_AXES_RULES: Rules = ((r".*skip_linear.*/kernel", ("tensor", "fsdp")),)
"""Take precedence on a mesh that has data, fsdp and tensor axes together.

On such a mesh XLA (jax 0.10.2 and 0.12.0.1, on CPUs) computes the right loss and wrong gradients when the
concatenated input of the long skips is sharded over `fsdp`.
"""


def parameter_specs(shapes: ShapesByPath, rules: Rules, mesh: Mesh) -> dict[str, PartitionSpec]:
    """Returns the partition of every parameter by path.

    Args:
        shapes: arrays or shape structs by path.
        rules: see `Rules`; they do not name the layer axis of stacked arrays, which is never sharded.
        mesh: the device mesh.

    Raises:
        UserError: for a rule that does not fit, or a large parameter that the mesh does not divide.
    """
    if all(mesh.shape[axis] > 1 for axis in ("data", "fsdp", "tensor")):
        rules = (*THREE_AXES_RULES, *rules)
    return {
        path: _spec(info, shapes[path].shape, rules, mesh)
        for path, info in describe_parameters(shapes).items()
    }


def _spec(info: ParameterInfo, shape: tuple[int, ...], rules: Rules, mesh: Mesh) -> PartitionSpec:
    name = info.names[0]
    axes = next((axes for pattern, axes in rules if re.fullmatch(pattern, name)), ())
    lead = (None,) if info.stacked else ()
    dims = shape[len(lead) :]
    if len(axes) > len(dims):
        raise UserError(f"sharding: the rule for {name} names {len(axes)} axes and it has {len(dims)}")
    kept: list[str | None] = []
    for axis, size in zip(axes, dims, strict=False):
        if axis is not None and axis not in AXES:
            raise UserError(f"sharding: the rule for {name} names axis {axis!r}; axes are {', '.join(AXES)}")
        divides = axis is None or size % mesh.shape[axis] == 0
        if not divides and np.prod(dims) >= SMALL:
            raise UserError(
                f"sharding: {axis}={mesh.shape[axis]} does not divide dimension {size} of {name} "
                f"{tuple(dims)}; change the machine's {axis} or the rule in sharding"
            )
        kept.append(axis if divides else None)
    return PartitionSpec(*lead, *kept)


def state_shardings(state: PyTree, shapes: ShapesByPath, rules: Rules, mesh: Mesh) -> PyTree[NamedSharding]:
    """Returns the sharding of every array of a training state.

    Arrays that are stored under a parameter's path and have its shape (average, moments) are sharded as the
    parameter is; everything else is replicated.

    Args:
        state: pytree of arrays or shape structs, as `i1_train.step.init_state` returns it.
        shapes: shapes of the parameters by path.
        rules: see `Rules`.
        mesh: the device mesh.
    """
    specs = parameter_specs(shapes, rules, mesh)

    def place(path: tuple[Any, ...], leaf: jax.Array) -> NamedSharding:
        names = [str(key.key) for key in path if isinstance(key, jax.tree_util.DictKey)]
        name = next((name for name in reversed(names) if name in specs), None)
        if name is not None and tuple(leaf.shape) == tuple(shapes[name].shape):
            return NamedSharding(mesh, specs[name])
        return replicated(mesh)

    return jax.tree_util.tree_map_with_path(place, state)


def constant_shardings(constants: PyTree, mesh: Mesh) -> PyTree[NamedSharding]:
    """Returns the shardings of frozen arrays: each over `fsdp` along its last dimension that `fsdp` divides.

    The first axis of a three-dimensional array is taken to be the layer axis and is not sharded. Small arrays
    and random keys are replicated.
    """
    size = mesh.shape["fsdp"]

    def place(leaf: jax.Array) -> NamedSharding:
        shape = tuple(leaf.shape)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) or np.prod(shape, dtype=int) < SMALL:
            return replicated(mesh)
        first = 1 if len(shape) == 3 else 0
        fitting = [dim for dim in range(first, len(shape)) if shape[dim] % size == 0]
        if not fitting:
            return replicated(mesh)
        return NamedSharding(mesh, PartitionSpec(*(None,) * fitting[-1], "fsdp"))

    return jax.tree.map(place, constants)
