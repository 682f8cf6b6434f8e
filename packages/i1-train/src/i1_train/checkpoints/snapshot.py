"""Copies of a training state that stay as they are while the state is overwritten by the next step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def host_copy(array: jax.Array) -> np.ndarray | None:
    """Returns an array on the first host, whole, also when its parts live on several; `None` on the others.

    Every host must call it for the same arrays in the same order.
    """
    if array.is_fully_addressable:
        return np.array(array)
    if not array.is_fully_replicated:
        sharding: Any = array.sharding
        everywhere = jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
        array = jax.jit(_same, out_shardings=everywhere)(array)
    return np.array(array.addressable_data(0)) if jax.process_index() == 0 else None


def _same(array: jax.Array) -> jax.Array:
    return array


def safe_to_read(state: Any) -> Any:
    """Returns arrays that a background thread may read after the state was donated.

    Orbax copies from other devices before it returns; on the CPU it would read the same memory.
    """
    on_cpu = all(
        device.platform == "cpu" for leaf in jax.tree.leaves(state) for device in leaf.sharding.device_set
    )
    return jax.tree.map(jnp.copy, state) if on_cpu else state
