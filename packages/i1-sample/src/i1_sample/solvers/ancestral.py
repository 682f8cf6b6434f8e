"""A solver that draws fresh noise on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from i1_hooks import UserError

from i1_sample.solvers.base import SolverConfig, Velocity


@dataclass(frozen=True, kw_only=True)
class Ancestral(SolverConfig):
    """Replaces a part of the noise at every step: DDIM's family (arXiv 2010.02502) on the rectified flow.

    A state `x_t = t data + (1 - t) noise` and its velocity say what data and noise are expected to be; the
    next state is made of these data, this noise and fresh noise whose variance is eta^2 times that of the
    forward process given the data. With eta = 0 this is Euler's method. With eta = 1 an error made early can
    still be mended later, which asks for more steps.

    The fresh noise of a row follows from the noise it started from and from the time, so that a picture does
    not depend on its batch.

    Attributes:
        eta: 0 for none of the fresh noise, 1 for all of it.

    Raises:
        UserError: for an eta outside of 0 to 1.
    """

    order: ClassVar[int] = 1

    eta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise UserError(f"ancestral: eta must be from 0 to 1, got {self.eta}")

    def init(self, x: jax.Array) -> Any:
        """Returns the random key of every row, uint32 (B, 2): the bits of its first and of its last value."""
        rows = x.reshape(x.shape[0], -1).astype(jnp.float32)
        return jax.lax.bitcast_convert_type(jnp.stack([rows[:, 0], rows[:, -1]], axis=1), jnp.uint32)

    def step(
        self, velocity: Velocity, x: jax.Array, carry: Any, t: jax.Array, t_next: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Advances x to a draw of what it could be at t_next."""
        v = velocity(x, t)
        data, noise = x + (1 - t) * v, x - t * v
        shrink = t * (1 - t_next) / jnp.maximum(t_next * (1 - t), jnp.finfo(x.dtype).tiny)
        renewed = self.eta**2 * (1 - jnp.minimum(shrink, 1) ** 2)
        time_bits = jax.lax.bitcast_convert_type(jnp.asarray(t, jnp.float32), jnp.uint32)

        def draw(bits: jax.Array) -> jax.Array:
            key = jax.random.fold_in(jax.random.wrap_key_data(bits, impl="threefry2x32"), time_bits)
            return jax.random.normal(key, x.shape[1:], x.dtype)

        mixed = jnp.sqrt(1 - renewed) * noise + jnp.sqrt(renewed) * jax.vmap(draw)(carry)
        return t_next * data + (1 - t_next) * mixed, carry
