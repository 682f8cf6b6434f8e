"""Parameters that begin at zero, made to count."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx


def fill_zeros(params: nnx.State, *, scale: float = 0.05) -> nnx.State:
    """Returns parameters in which every array of zeros holds small random numbers instead.

    A network may begin as zero, for example with a last layer or a gate of zeros. The suites check what it
    computes once it has been trained for a while, so they fill such arrays first.

    Args:
        params: the parameters of a network.
        scale: standard deviation of the numbers.
    """
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(17), len(leaves))
    filled = [
        jnp.where(jnp.any(leaf != 0), leaf, scale * jax.random.normal(key, leaf.shape, leaf.dtype))
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, filled)
