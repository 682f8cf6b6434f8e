"""Meshes of devices, and which of them a part of the training state or a batch lives on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from i1_model.ops.chips import chip_name
from i1_model.ops.sharding import AXES, BATCH
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from i1_train.devices.machines import MachineMesh, Rules
from i1_train.parameters import Leaf, describe

SMALL = 2**16
"""An array of fewer elements stays whole where an axis does not divide it."""


def make_mesh(machine: MachineMesh, devices: Sequence[Any] | None = None) -> Mesh:
    """Returns the mesh of a machine; neighbours in it are neighbours on the network where that is known.

    Args:
        machine: how the devices are divided; as many as there are devices.
        devices: all devices of all hosts by default.
    """
    devices = list(jax.devices() if devices is None else devices)
    if devices[0].platform == "tpu":
        grid = mesh_utils.create_device_mesh(machine.shape, devices, allow_split_physical_axes=True)
    else:
        grid = np.asarray(devices).reshape(machine.shape)
    return Mesh(grid, AXES)


def device_kind(device: Any) -> str:
    """Returns `"cpu"`, `"gpu"`, or the generation of a TPU such as `"v5p"`."""
    if device.platform != "tpu":
        return str(device.platform)
    return chip_name(str(device.device_kind))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Returns where the arrays of a batch live: cut along their first axis."""
    return NamedSharding(mesh, PartitionSpec(BATCH))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the place of arrays that every device holds."""
    return NamedSharding(mesh, PartitionSpec())


THREE_AXES_RULES: Rules = ((r".*skip_linear.*/kernel", ("tensor", "fsdp")),)
"""Come first on a mesh of data, fsdp and tensor together.

There XLA (of jax 0.10.2 and 0.12.0.1, seen on CPUs) computes wrong gradients, with the right loss, where the
concatenated input of the long skips is cut over `fsdp`.
"""


def parameter_specs(shapes: Mapping[str, Any], rules: Rules, mesh: Mesh) -> dict[str, PartitionSpec]:
    """Returns the partition of every parameter by path.

    Args:
        shapes: arrays or shape structs by path.
        rules: see `Rules`; the layer axis of stacked arrays is not part of them and stays whole.
        mesh: of the machine.

    Raises:
        UserError: for a rule that does not fit, or a large parameter that the mesh does not divide.
    """
    if all(mesh.shape[axis] > 1 for axis in ("data", "fsdp", "tensor")):
        rules = (*THREE_AXES_RULES, *rules)
    return {path: _spec(leaf, shapes[path].shape, rules, mesh) for path, leaf in describe(shapes).items()}


def _spec(leaf: Leaf, shape: tuple[int, ...], rules: Rules, mesh: Mesh) -> PartitionSpec:
    name = leaf.names[0]
    axes = next((axes for pattern, axes in rules if re.fullmatch(pattern, name)), ())
    lead = (None,) if leaf.stacked else ()
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


def state_shardings(state: Any, shapes: Mapping[str, Any], rules: Rules, mesh: Mesh) -> Any:
    """Returns where every array of a training state lives.

    Whatever is stored by a parameter's path (average, moments) and has its shape lives where the parameter
    lives; everything else is on every device.

    Args:
        state: pytree of arrays or shape structs, as `i1_train.step.init_state` returns it.
        shapes: the parameters.
        rules: see `Rules`.
        mesh: of the machine.
    """
    specs = parameter_specs(shapes, rules, mesh)

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        names = [str(key.key) for key in path if isinstance(key, jax.tree_util.DictKey)]
        name = next((name for name in reversed(names) if name in specs), None)
        if name is not None and tuple(leaf.shape) == tuple(shapes[name].shape):
            return NamedSharding(mesh, specs[name])
        return replicated(mesh)

    return jax.tree_util.tree_map_with_path(place, state)


def constant_shardings(constants: Any, mesh: Mesh) -> Any:
    """Returns where frozen arrays live: each cut over `fsdp` along its last dimension that it divides.

    The first axis of three-dimensional arrays is taken for layers and stays whole. Small arrays and random
    keys are on every device.
    """
    size = mesh.shape["fsdp"]

    def place(leaf: Any) -> NamedSharding:
        shape = tuple(leaf.shape)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) or np.prod(shape, dtype=int) < SMALL:
            return replicated(mesh)
        first = 1 if len(shape) == 3 else 0
        fitting = [dim for dim in range(first, len(shape)) if shape[dim] % size == 0]
        if not fitting:
            return replicated(mesh)
        return NamedSharding(mesh, PartitionSpec(*(None,) * fitting[-1], "fsdp"))

    return jax.tree.map(place, constants)
