"""Where the arrays of a run live: the shardings of state, frozen arrays and batches on one mesh."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import PyTree

from i1_train.devices.machines import Hardware, MachineMesh, Rules, check_batch, choose_machine
from i1_train.devices.mesh import (
    Device,
    batch_sharding,
    constant_shardings,
    device_kind,
    make_mesh,
    replicated,
    state_shardings,
)
from i1_train.state import Batch, Constants, ShapesByPath, State


@dataclass(frozen=True, eq=False)
class Placement:
    """A mesh, and the sharding of each array of a step on it.

    Attributes:
        mesh: the device mesh.
        state: pytree of shardings with the structure of the training state.
        constants: pytree of shardings with the structure of the frozen arrays.
        batch: sharding of every array of a batch.
        batch_size: rows of a batch.
        scalar: sharding of metrics.
    """

    mesh: Mesh
    state: PyTree[NamedSharding]
    constants: PyTree[NamedSharding]
    batch: NamedSharding
    batch_size: int
    scalar: NamedSharding

    @functools.cached_property
    def rows(self) -> tuple[int, ...]:
        """The rows of every batch that live on this host's devices, ascending.

        Hosts that a mesh divides along tokens or heads share their rows.
        """
        parts: Any = self.batch.addressable_devices_indices_map((self.batch_size,)).values()
        return tuple(sorted({row for (part,) in parts for row in range(*part.indices(self.batch_size))}))

    def put_batch(self, batch: Batch) -> Batch:
        """Starts to transfer this host's `rows` of a batch; returns arrays that stand for the whole batch."""

        def put(array: np.ndarray) -> jax.Array:
            own = np.asarray(array)
            shape = (self.batch_size, *own.shape[1:])

            def part(index: Any) -> np.ndarray:
                first, last, _ = index[0].indices(self.batch_size)
                begin = bisect.bisect_left(self.rows, first)
                return own[begin : begin + last - first]

            return jax.make_array_from_callback(shape, self.batch, part)

        return jax.tree.map(put, batch)

    def put_constants(self, constants: Constants) -> Constants:
        """Puts frozen arrays, which every host has whole, onto the devices."""
        return jax.tree.map(put_whole, constants, self.constants)

    def shapes(self, state: State) -> State:
        """Returns shapes of a state with their shardings, which is what a checkpoint is restored into."""
        return jax.tree.map(
            lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
            state,
            self.state,
        )


def put_whole(array: jax.Array, sharding: NamedSharding) -> jax.Array:
    """Shards an array that every host has whole."""
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = put_whole(jax.random.key_data(array), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def find_machine(
    hardware: Hardware, devices: Sequence[Device], batch_size: int, grad_accumulation: int
) -> MachineMesh:
    """Returns the mesh that the recipe has for these devices.

    Args:
        hardware: the meshes of the recipe.
        devices: all devices of all hosts.
        batch_size: rows of a batch, which must divide among the devices.
        grad_accumulation: number of parts that a batch is processed in.

    Raises:
        UserError: when the mesh does not fit the devices, or the batch does not fit the mesh.
    """
    machine = choose_machine(hardware.machines, hardware.machine, len(devices), device_kind(devices[0]))
    check_batch(machine, batch_size, grad_accumulation)
    return machine


def make_placement(
    machine: MachineMesh,
    devices: Sequence[Device],
    *,
    rules: Rules,
    shapes: ShapesByPath,
    state: State,
    constants: Constants,
    batch_size: int,
) -> Placement:
    """Returns the sharding of everything.

    Args:
        machine: the mesh, from `find_machine`.
        devices: all devices of all hosts.
        rules: how parameters are sharded.
        shapes: shapes of the parameters by path.
        state: shapes of the training state.
        constants: frozen arrays, or their shapes.
        batch_size: rows of a batch.

    Raises:
        UserError: for a parameter that the mesh does not divide.
    """
    mesh = make_mesh(machine, devices)
    return Placement(
        mesh=mesh,
        state=state_shardings(state, shapes, rules, mesh),
        constants=constant_shardings(constants, mesh),
        batch=batch_sharding(mesh),
        batch_size=batch_size,
        scalar=replicated(mesh),
    )
