"""Copies of a training state that stay as they are while the state is overwritten by the next step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils


def host_copy(array: jax.Array) -> np.ndarray:
    """Returns an array on the host, whole, also when its parts live on several hosts.

    Every host must call it for the same arrays in the same order.
    """
    if array.is_fully_addressable:
        return np.array(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def safe_to_read(state: Any) -> Any:
    """Returns arrays that a background thread may read after the state was donated.

    Orbax copies from other devices before it returns; on the CPU it would read the same memory.
    """
    on_cpu = all(
        device.platform == "cpu" for leaf in jax.tree.leaves(state) for device in leaf.sharding.device_set
    )
    return jax.tree.map(jnp.copy, state) if on_cpu else state
