"""The embedding of time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from i1_model.layers.linear import Linear

NUM_FREQUENCY_FEATURES = 256


def sinusoidal_time(time: Float[Array, " B"], dim: int) -> Float[Array, "B D"]:
    """Returns `[cos(t f), sin(t f)]` with `f_i = 10000^(-i / half)`, float32 (B, dim).

    An odd `dim` ends in a zero.
    """
    half = dim // 2
    frequencies = np.exp(-np.log(10000.0) * np.arange(half, dtype=np.float32) / half).astype(np.float32)
    angle = time.astype(jnp.float32)[:, None] * jnp.asarray(frequencies)[None, :]
    embedding = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    return jnp.pad(embedding, ((0, 0), (0, dim % 2)))


class TimeEmbedder(nnx.Module):
    """A two-layer network on the sinusoids of time in [0, 1], in float32."""

    def __init__(self, width: int, key: Array) -> None:
        key_in, key_out = jax.random.split(key)
        self.linear1 = Linear(NUM_FREQUENCY_FEATURES, width, key_in)
        self.linear2 = Linear(width, width, key_out)

    def __call__(self, time: Float[Array, " B"]) -> Float[Array, "B W"]:
        """Maps times (B,) to (B, width) float32."""
        return self.linear2(jax.nn.silu(self.linear1(sinusoidal_time(time, NUM_FREQUENCY_FEATURES))))
