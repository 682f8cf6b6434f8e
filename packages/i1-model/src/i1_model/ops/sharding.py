"""How activations are sharded over a mesh of devices; without a mesh nothing here changes a program.

A mesh has the axes `data` and `fsdp` (both shard the batch), `context` (the tokens) and `tensor` (heads and
inner features). A model names the axes of an array: `"batch"`, `"context"`, `"tensor"` or None.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp", "context", "tensor")
BATCH = ("data", "fsdp")
"""The mesh axes that shard the batch."""
DimName = str | None
"""`"batch"`, or an axis of the mesh; None for an axis that is not sharded."""

_mesh: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("i1_mesh", default=None)


@contextlib.contextmanager
def use_mesh(mesh: Mesh | None) -> Iterator[None]:
    """Traces models for a mesh; a mesh of one device counts as none."""
    token = _mesh.set(mesh if mesh is not None and mesh.size > 1 else None)
    try:
        yield
    finally:
        _mesh.reset(token)


def active_mesh() -> Mesh | None:
    """Returns the mesh of `use_mesh`, or None."""
    return _mesh.get()


def axis_size(dim: DimName) -> int:
    """Returns the number of devices that shard an axis."""
    mesh = _mesh.get()
    if mesh is None or dim is None:
        return 1
    names = BATCH if dim == "batch" else (dim,)
    size = 1
    for name in names:
        size *= mesh.shape[name]
    return size


def spec(*dims: DimName) -> PartitionSpec:
    """Returns the partition of an array with these axes."""
    return PartitionSpec(*(BATCH if dim == "batch" else dim for dim in dims))


def constrain(x: Array, *dims: DimName) -> Array:
    """Shards an array by the names of its axes; axes without a name are not sharded.

    An axis whose size the mesh does not divide is not sharded either.
    """
    mesh = _mesh.get()
    if mesh is None:
        return x
    fitting = [dim if x.shape[i] % axis_size(dim) == 0 else None for i, dim in enumerate(dims)]
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec(*fitting)))


def shard_before_gather(kernel: Array) -> Array:
    """Returns a matrix itself; on a mesh, each device computes its shard before the shards are gathered.

    Without it the compiler may gather the shards as they are stored, and then cast, reorder and lay out the
    whole matrix on every device.
    """
    return kernel if _mesh.get() is None else _shard_before_gather(kernel)


@jax.custom_vjp
def _shard_before_gather(kernel: Array) -> Array:
    return jax.lax.optimization_barrier(kernel)


_shard_before_gather.defvjp(lambda kernel: (_shard_before_gather(kernel), None), lambda _, grad: (grad,))


def lookup(table: Array, ids: Array) -> Array:
    """Returns `table[ids]`; on a mesh, each device reads its shard of the width for the whole batch.

    Only the rows that are read are communicated then, not the table.

    Args:
        table: (V, W), sharded over `fsdp` along its width.
        ids: (B, T) int32, sharded along the batch.
    """
    rows = constrain(table, None, "fsdp")[constrain(ids, None, None)]
    return constrain(constrain(rows, None, None, "fsdp"), "batch", None, None)


def per_shard(
    function: Callable[..., Array], in_dims: tuple[tuple[DimName, ...], ...], out_dims: tuple[DimName, ...]
) -> Callable[..., Array]:
    """Returns a function that every device runs on its own shards, for kernels that cannot be partitioned.

    Args:
        function: a function of arrays that returns an array.
        in_dims: names of the axes of each argument.
        out_dims: names of the axes of the result.
    """
    mesh = _mesh.get()
    if mesh is None:
        return function
    return jax.shard_map(
        function,
        mesh=mesh,
        in_specs=tuple(spec(*dims) for dims in in_dims),
        out_specs=spec(*out_dims),
        check_vma=False,
    )


def spread_over(devices: Sequence[Any]) -> Callable[[str, tuple[int, ...]], NamedSharding]:
    """Returns the sharding of weights that are too large for one device: each array over all devices.

    An array is sharded along its last axis that the number of devices divides. Without such an axis every
    device holds all of it.

    Args:
        devices: for example `jax.devices()`.
    """
    mesh = Mesh(np.asarray(devices), ("devices",))

    def place(path: str, shape: tuple[int, ...]) -> NamedSharding:
        del path
        fitting = [dim for dim, size in enumerate(shape) if size % len(devices) == 0]
        partition = PartitionSpec(*(None,) * fitting[-1], "devices") if fitting else PartitionSpec()
        return NamedSharding(mesh, partition)

    return place
