"""Metrics that a training step computes about itself on the device."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

Arrays = Mapping[str, jax.Array]

NUM_BUCKETS = 4
"""Number of equal intervals of the time from 0 (noise) to 1 (data)."""
BY_TIME = "loss_by_time/"
HELD_OUT = "held_out/loss"


def loss_by_time(losses: jax.Array, time: jax.Array) -> dict[str, jax.Array]:
    """Returns the mean loss of the examples in each interval of the time; NaN for an interval without any.

    Args:
        losses: losses of the examples, (B,).
        time: times of the examples in [0, 1], (B,).
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
    """Returns the norms of the trained parameters and of their last change, and the distance of the average.

    Args:
        before: trained parameters before the step, by path.
        after: trained parameters after it.
        ema: their average after it.

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
    """Returns the square root of the sum of all squares, float32."""
    squares = [jnp.sum(jnp.square(array.astype(jnp.float32))) for array in arrays.values()]
    return jnp.sqrt(jnp.stack(squares).sum())
