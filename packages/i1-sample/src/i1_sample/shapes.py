"""The shapes of what solvers and guidances compute with."""

from jax import Array
from jaxtyping import Float

State = Float[Array, "B *S"]
"""Latents, velocities, data or noise of B images."""
Scalar = Float[Array, ""]
"""A time, 0 at noise and 1 at data, or the scale of a guidance."""
