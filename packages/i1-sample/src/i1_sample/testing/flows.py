"""A path that is not straight, and the exact velocity for Gaussian data on any path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from i1_model.flow import FlowConfig, RectifiedFlow, per_example

MEAN, STD = 0.7, 0.3
"""The Gaussian that data are drawn from."""


@dataclass(frozen=True, kw_only=True)
class TrigonometricFlow(FlowConfig):
    """`x_t = cos(pi t / 2) noise + sin(pi t / 2) data`, whose variance is constant for data of variance 1."""

    def sample_times(self, key: jax.Array, batch: int) -> jax.Array:
        """Returns uniform times."""
        return jax.random.uniform(key, (batch,), jnp.float32)

    def interpolate(self, noise: jax.Array, data: jax.Array, t: jax.Array) -> jax.Array:
        """Returns the point of the quarter circle."""
        angle = per_example(t, data) * (jnp.pi / 2)
        return jnp.cos(angle) * noise + jnp.sin(angle) * data

    def velocity(self, prediction: jax.Array, x_t: jax.Array, t: jax.Array) -> jax.Array:
        """Returns the prediction itself."""
        del x_t, t
        return prediction

    def target(self, noise: jax.Array, data: jax.Array, t: jax.Array) -> jax.Array:
        """Returns the derivative of the path."""
        angle = per_example(t, data) * (jnp.pi / 2)
        return (jnp.pi / 2) * (jnp.cos(angle) * data - jnp.sin(angle) * noise)


FLOWS: dict[str, FlowConfig] = {"straight": RectifiedFlow(), "trigonometric": TrigonometricFlow()}
"""The paths that every solver is measured on."""


def gaussian_velocity(flow: FlowConfig) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns the exact velocity on a path for data that are normal with `MEAN` and `STD`.

    Where `x = a noise + b data`, the data expected at x are `MEAN + b STD^2 / (a^2 + b^2 STD^2) (x - b MEAN)`
    and the noise is `a / (a^2 + b^2 STD^2) (x - b MEAN)`.
    """

    def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
        times = jnp.full(x.shape[:1], t, x.dtype)
        one, zero = jnp.ones_like(times), jnp.zeros_like(times)
        a = per_example(flow.interpolate(one, zero, times), x)
        b = per_example(flow.interpolate(zero, one, times), x)
        residual = (x - b * MEAN) / (a**2 + b**2 * STD**2)
        return flow.target(a * residual, MEAN + b * STD**2 * residual, times)

    return velocity
