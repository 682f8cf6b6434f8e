"""Where a run's arrays live: shardings of its state, its frozen arrays and its batches on one mesh."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import override
from jax.sharding import Mesh, NamedSharding

from i1_train.config import TrainConfig
from i1_train.devices.machines import MachineMesh, check_batch, choose_machine
from i1_train.devices.mesh import (
    batch_sharding,
    constant_shardings,
    device_kind,
    make_mesh,
    replicated,
    state_shardings,
)
from i1_train.parts import Parts


@dataclass(frozen=True, eq=False)
class Placement:
    """A mesh, and where each array of a step lives on it.

    Attributes:
        mesh: of the machine.
        state: shardings like the training state.
        constants: shardings like the frozen arrays.
        batch: sharding of every array of a batch.
        batch_size: rows of a batch.
        scalar: sharding of metrics.
    """

    mesh: Mesh
    state: Any
    constants: Any
    batch: NamedSharding
    batch_size: int
    scalar: NamedSharding

    @functools.cached_property
    def rows(self) -> tuple[int, ...]:
        """Which rows of every batch live on this host's devices, ascending.

        Hosts among which a mesh divides tokens or heads have the same rows.
        """
        parts = self.batch.addressable_devices_indices_map((self.batch_size,)).values()
        return tuple(sorted({row for (part,) in parts for row in range(*part.indices(self.batch_size))}))

    def put_batch(self, batch: Any) -> Any:
        """Starts the transfer of this host's `rows` of a batch; returns arrays of the whole batch."""

        def put(array: Any) -> jax.Array:
            own = np.asarray(array)
            shape = (self.batch_size, *own.shape[1:])

            def part(index: tuple[slice, ...]) -> np.ndarray:
                first, last, _ = index[0].indices(self.batch_size)
                begin = bisect.bisect_left(self.rows, first)
                return own[begin : begin + last - first]

            return jax.make_array_from_callback(shape, self.batch, part)

        return jax.tree.map(put, batch)

    def put_constants(self, constants: Any) -> Any:
        """Returns frozen arrays, equal on every host, where they live."""
        return jax.tree.map(put_whole, constants, self.constants)

    def shapes(self, state: Any) -> Any:
        """Returns the shapes of a state with their shardings, as a checkpoint is restored into."""
        return jax.tree.map(
            lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
            state,
            self.state,
        )


def put_whole(array: Any, sharding: NamedSharding) -> jax.Array:
    """Returns an array that every host has whole where it lives."""
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = put_whole(jax.random.key_data(array), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def find_machine(config: TrainConfig, devices: Sequence[Any]) -> MachineMesh:
    """Returns the machine a run takes place on, checked against its batch.

    Raises:
        UserError: when the devices or the batch do not fit it.
    """
    machine = choose_machine(
        config.hardware.machines, config.hardware.machine, len(devices), device_kind(devices[0])
    )
    check_batch(machine, config.batch_size, config.grad_accumulation)
    return machine


def on_machine(config: TrainConfig, machine: MachineMesh) -> TrainConfig:
    """Returns the recipe with the settings that a machine needs."""
    return override(config, machine.settings) if machine.settings else config


def make_placement(
    config: TrainConfig,
    parts: Parts,
    state: Any,
    constants: Any,
    machine: MachineMesh,
    devices: Sequence[Any],
) -> Placement:
    """Returns where everything lives.

    Args:
        config: the recipe.
        parts: its objects.
        state: shapes of the training state, from `i1_train.step.state_shapes`.
        constants: frozen arrays, or their shapes.
        machine: from `find_machine`.
        devices: all devices.

    Raises:
        UserError: for a parameter that the mesh does not divide.
    """
    mesh = make_mesh(machine, devices)
    return Placement(
        mesh=mesh,
        state=state_shardings(state, parts.network.shapes, config.hardware.sharding, mesh),
        constants=constant_shardings(constants, mesh),
        batch=batch_sharding(mesh),
        batch_size=config.batch_size,
        scalar=replicated(mesh),
    )
