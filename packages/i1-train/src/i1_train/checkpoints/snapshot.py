"""Copies of a training state that survive the next step, which overwrites the state."""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree


def copy_to_first_host(array: jax.Array) -> np.ndarray | None:
    """Returns a whole array on the first host, even if its shards are on several; `None` on other hosts.

    Every host must call it for the same arrays in the same order.
    """
    if array.is_fully_addressable:
        return np.array(array)
    if not array.is_fully_replicated:
        sharding = cast("jax.sharding.NamedSharding", array.sharding)
        everywhere = jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
        array = jax.jit(_same, out_shardings=everywhere)(array)
    return np.array(array.addressable_data(0)) if jax.process_index() == 0 else None


def _same(array: jax.Array) -> jax.Array:
    return array


def copy_for_background_read(state: PyTree[jax.Array]) -> PyTree[jax.Array]:
    """Returns arrays that a background thread may read after the state has been donated.

    On accelerators orbax copies the state before it returns. On the CPU it would read the donated memory
    itself, so the state is copied here.
    """
    on_cpu = all(
        device.platform == "cpu" for leaf in jax.tree.leaves(state) for device in leaf.sharding.device_set
    )
    return jax.tree.map(jnp.copy, state) if on_cpu else state
