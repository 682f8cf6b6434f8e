"""Where activations live on a mesh of devices; without a mesh nothing here changes a program.

A mesh has the axes `data` and `fsdp` (both cut the batch), `context` (the tokens) and `tensor` (heads and
inner features). Models name what an axis of an array is: `"batch"`, `"context"`, `"tensor"` or None.
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
"""The mesh axes that the batch is cut over."""
DimName = str | None
"""`"batch"`, or an axis of the mesh; None for an axis that every device holds as a whole."""

_mesh: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("i1_mesh", default=None)


@contextlib.contextmanager
def use_mesh(mesh: Mesh | None) -> Iterator[None]:
    """Traces models for a mesh; one of a single device counts as none."""
    token = _mesh.set(mesh if mesh is not None and mesh.size > 1 else None)
    try:
        yield
    finally:
        _mesh.reset(token)


def active_mesh() -> Mesh | None:
    """Returns the mesh that is being traced for, or None."""
    return _mesh.get()


def axis_size(dim: DimName) -> int:
    """Returns over how many devices such an axis is cut."""
    mesh = _mesh.get()
    if mesh is None or dim is None:
        return 1
    names = BATCH if dim == "batch" else (dim,)
    size = 1
    for name in names:
        size *= mesh.shape[name]
    return size


def spec(*dims: DimName) -> PartitionSpec:
    """Returns the partition of an array whose axes are named."""
    return PartitionSpec(*(BATCH if dim == "batch" else dim for dim in dims))


def constrain(x: Array, *dims: DimName) -> Array:
    """Puts an array where its axes say; axes that are not named are whole on every device.

    Axes whose size the mesh does not divide stay whole.
    """
    mesh = _mesh.get()
    if mesh is None:
        return x
    fitting = [dim if x.shape[i] % axis_size(dim) == 0 else None for i, dim in enumerate(dims)]
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec(*fitting)))


def shard_before_gather(kernel: Array) -> Array:
    """Returns a matrix itself; on a mesh each device's part is made before it travels to the others.

    Without this the compiler may gather the parts as they are stored, and then cast, reorder and lay out the
    whole matrix on every device.
    """
    return kernel if _mesh.get() is None else _shard_before_gather(kernel)


@jax.custom_vjp
def _shard_before_gather(kernel: Array) -> Array:
    return jax.lax.optimization_barrier(kernel)


_shard_before_gather.defvjp(lambda kernel: (_shard_before_gather(kernel), None), lambda _, grad: (grad,))


def lookup(table: Array, ids: Array) -> Array:
    """Returns `table[ids]`; on a mesh each device reads its part of the width for the whole batch.

    Only the rows that are read travel then, and not the table.

    Args:
        table: (V, W), cut over `fsdp` along its width.
        ids: (B, T) int32, cut along the batch.
    """
    rows = constrain(table, None, "fsdp")[constrain(ids, None, None)]
    return constrain(constrain(rows, None, None, "fsdp"), "batch", None, None)


def per_shard(
    function: Callable[..., Array], in_dims: tuple[tuple[DimName, ...], ...], out_dims: tuple[DimName, ...]
) -> Callable[..., Array]:
    """Returns a function that every device runs on its own part, for kernels that the compiler cannot cut.

    Args:
        function: of arrays.
        in_dims: what the axes of each argument are.
        out_dims: what the axes of the result are.
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
    """Returns where weights go that no single device is to hold: each array is cut over all devices.

    It is cut along its last dimension that their number divides; without one, every device holds it.

    Args:
        devices: for example `jax.devices()`.
    """
    mesh = Mesh(np.asarray(devices), ("devices",))

    def place(path: str, shape: tuple[int, ...]) -> NamedSharding:
        del path
        fitting = [dim for dim, size in enumerate(shape) if size % len(devices) == 0]
        cut = PartitionSpec(*(None,) * fitting[-1], "devices") if fitting else PartitionSpec()
        return NamedSharding(mesh, cut)

    return place
