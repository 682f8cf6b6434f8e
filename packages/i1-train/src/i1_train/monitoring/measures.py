"""What a training step says about itself, computed on the device with it."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

Arrays = Mapping[str, jax.Array]

NUM_BUCKETS = 4
"""Equal parts of the time from 0 (noise) to 1 (data)."""
BY_TIME = "loss_by_time/"


def loss_by_time(losses: jax.Array, time: jax.Array) -> dict[str, jax.Array]:
    """Returns the mean loss of the examples in each part of the time; not a number where there is none.

    Args:
        losses: (B,) of the examples.
        time: (B,) their times in [0, 1].
    """
    bucket = jnp.clip((time * NUM_BUCKETS).astype(jnp.int32), 0, NUM_BUCKETS - 1)
    means = {}
    for index in range(NUM_BUCKETS):
        inside = bucket == index
        total, count = jnp.sum(jnp.where(inside, losses, 0.0)), jnp.sum(inside.astype(jnp.float32))
        name = f"{BY_TIME}{index / NUM_BUCKETS:.2f}-{(index + 1) / NUM_BUCKETS:.2f}"
        means[name] = jnp.where(count > 0, total / jnp.maximum(count, 1.0), jnp.nan)
    return means


def norms(before: Arrays, after: Arrays, ema: Arrays) -> dict[str, jax.Array]:
    """Returns how large the trained parameters and their last change are, and how far the average is away.

    Returns:
        `norm/parameters` |p|, `norm/update` |p - p_before|, and `ema/drift` |ema - p| / |p|, global norms.
    """
    parameters = global_norm(after)
    return {
        "norm/parameters": parameters,
        "norm/update": global_norm({path: value - before[path] for path, value in after.items()}),
        "ema/drift": global_norm(
            {path: ema[path] - value.astype(jnp.float32) for path, value in after.items()}
        )
        / jnp.maximum(parameters, jnp.finfo(jnp.float32).tiny),
    }


def global_norm(arrays: Arrays) -> jax.Array:
    """Returns the root of the sum of all squares, float32."""
    squares = [jnp.sum(jnp.square(array.astype(jnp.float32))) for array in arrays.values()]
    return jnp.sqrt(jnp.stack(squares).sum())
