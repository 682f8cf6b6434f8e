"""Solvers that draw fresh noise on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from i1_hooks import UserError
from jax import Array
from jaxtyping import UInt32

from i1_sample.shapes import Scalar, State
from i1_sample.solvers.base import SolverConfig, Velocity


@dataclass(frozen=True, kw_only=True)
class Ancestral(SolverConfig):
    """Replaces a part of the noise at every step: DDIM's family (arXiv 2010.02502) on any path.

    A state and its velocity say which data and noise are expected; the next state is joined from these data,
    this noise and fresh noise whose variance is eta^2 times that of the forward process given the data. With
    eta = 0 this is Euler's method on a straight path. With eta = 1 an early error can still be corrected
    later, at the price of more steps.

    The fresh noise of a row follows from the noise that it started from and from the time, so that a picture
    does not depend on its batch.

    Attributes:
        eta: from 0 for no fresh noise to 1 for all of it.

    Raises:
        UserError: for an eta outside of 0 to 1.
    """

    order: ClassVar[int] = 1

    eta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise UserError(f"ancestral: eta must be from 0 to 1, got {self.eta}")

    def init(self, x: State) -> Any:
        """Returns the random key of every row, see `row_keys`."""
        return row_keys(x)

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
        """Advances x to a draw of what it could be at t_next."""
        v = velocity(x, t)
        data, noise = velocity.split(x, v, t)
        (_, u), (_, u_next) = velocity.straighten(t), velocity.straighten(t_next)
        shrink = u * (1 - u_next) / jnp.maximum(u_next * (1 - u), jnp.finfo(x.dtype).tiny)
        renewed = self.eta**2 * (1 - jnp.minimum(shrink, 1) ** 2)
        mixed = jnp.sqrt(1 - renewed) * noise + jnp.sqrt(renewed) * fresh_noise(carry, t, x)
        return velocity.join(data, mixed, t_next), carry


@dataclass(frozen=True, kw_only=True)
class LCM(SolverConfig):
    """The multistep sampler of consistency models: all of the noise is replaced at every step.

    `x' = join(D, fresh noise, t')` with the data D expected at x. It draws from the data's distribution only
    where the model is distilled to jump to the data at once (arXiv 2310.04378); with any other model pictures
    come out too smooth.
    """

    order: ClassVar[int] = 1

    def init(self, x: State) -> Any:
        """Returns the random key of every row, see `row_keys`."""
        return row_keys(x)

    def step(self, velocity: Velocity, x: State, carry: Any, t: Scalar, t_next: Scalar) -> tuple[State, Any]:
        """Advances x to a point between the expected data and fresh noise."""
        data, _ = velocity.split(x, velocity(x, t), t)
        return velocity.join(data, fresh_noise(carry, t, x), t_next), carry


def row_keys(x: State) -> UInt32[Array, "B 2"]:
    """Returns the random key of every row, uint32 (B, 2): the bits of its first and of its last value."""
    rows = x.reshape(x.shape[0], -1).astype(jnp.float32)
    return jax.lax.bitcast_convert_type(jnp.stack([rows[:, 0], rows[:, -1]], axis=1), jnp.uint32)


def fresh_noise(keys: UInt32[Array, "B 2"], t: Scalar, like: State) -> State:
    """Returns normal noise shaped like `like`, which follows from the key of each row and the time.

    Args:
        keys: (B, 2) uint32, from `row_keys`.
        t: scalar.
        like: (B, ...).
    """
    time_bits = jax.lax.bitcast_convert_type(jnp.asarray(t, jnp.float32), jnp.uint32)

    def draw(bits: Array) -> Array:
        key = jax.random.fold_in(jax.random.wrap_key_data(bits, impl="threefry2x32"), time_bits)
        return jax.random.normal(key, like.shape[1:], like.dtype)

    return jax.vmap(draw)(keys)
