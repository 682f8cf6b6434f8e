"""The flow: interpolant, training time law and prediction target.

Time runs from noise (t = 0) to data (t = 1): `x_t = (1 - t) noise + t data`, velocity `data - noise`.
diffusers and most other stacks count the other way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from i1_hooks import ComponentConfig, UserError
from jax import Array


@dataclass(frozen=True, kw_only=True)
class FlowConfig(ComponentConfig, ABC, kind="flows"):
    """Base of flows: pure functions of time, noise and data; subclass it as a frozen keyword-only dataclass.

    Times are float32 (B,) in [0, 1]; noise, data, `x_t`, predictions and velocities are float32 (B, ...).

    Example:
        >>> from dataclasses import dataclass
        >>> import jax
        >>> @dataclass(frozen=True, kw_only=True)
        ... class CubicLaw(RectifiedFlow):
        ...     def sample_times(self, key, batch):
        ...         return 1 - jax.random.uniform(key, (batch,)) ** 3
    """

    @abstractmethod
    def sample_times(self, key: Array, batch: int) -> Array:
        """Returns `batch` independent training times."""

    @abstractmethod
    def interpolate(self, noise: Array, data: Array, t: Array) -> Array:
        """Returns the network's input `x_t`: the noise at t = 0, the data at t = 1."""

    @abstractmethod
    def velocity(self, prediction: Array, x_t: Array, t: Array) -> Array:
        """Returns the velocity dx/dt that a network output stands for; sampling integrates it."""

    @abstractmethod
    def target(self, noise: Array, data: Array, t: Array) -> Array:
        """Returns what `velocity(prediction, x_t, t)` is trained towards."""

    def join(self, data: Array, noise: Array, t: Array) -> Array:
        """Returns the point of the path from this noise to these data; `t` may be a scalar."""
        return self.interpolate(noise, data, jnp.broadcast_to(t, data.shape[:1]))

    def split(self, x_t: Array, velocity: Array, t: Array) -> tuple[Array, Array]:
        """Returns the data and the noise that a point and its velocity stand for; the inverse of `join`.

        A path `x_t = a(t) noise + b(t) data` has the velocity `a' noise + b' data`; the two equations are
        solved for the data and the noise, with `a` and `b` read from `interpolate`. A path of another form
        defines its own.

        Args:
            x_t: (B, ...).
            velocity: (B, ...) at that point.
            t: scalar or (B,).
        """
        times = jnp.broadcast_to(t, x_t.shape[:1])
        one, zero = jnp.ones_like(times), jnp.zeros_like(times)
        (a, b), (da, db) = jax.jvp(
            lambda s: (self.interpolate(one, zero, s), self.interpolate(zero, one, s)), (times,), (one,)
        )
        a, b, da, db = (per_example(coefficient, x_t) for coefficient in (a, b, da, db))
        determinant = a * db - b * da
        return (a * velocity - da * x_t) / determinant, (db * x_t - b * velocity) / determinant

    def straighten(self, t: Array) -> tuple[Array, Array]:
        """Returns the factor c and the time u in which the path is straight.

        Where `x = a noise + b data`, `x / c = (1 - u) noise + u data` with `c = a + b` and `u = b / c`; the
        velocity there is `data - noise`.

        Args:
            t: scalar.
        """
        one, zero = jnp.ones((1,), t.dtype), jnp.zeros((1,), t.dtype)
        noise, data = self.join(zero, one, t)[0], self.join(one, zero, t)[0]
        return noise + data, data / (noise + data)


@dataclass(frozen=True, kw_only=True)
class RectifiedFlow(FlowConfig):
    """Straight paths (arXiv 2209.03003) with shifted logit-normal or uniform training times (arXiv
    2403.03206).

    Attributes:
        time_law: `sigmoid(mu + sigma n)` with normal n, or uniform in [0, 1].
        mu: centre of the logit-normal law; above 0 is nearer to data.
        sigma: its spread, above 0.
        shift: `t <- s t / (1 + (s - 1) t)` after the draw; 1 (or 0) for none. i1 uses 0.3 at 1024 pixels.
        prediction: what the network's output is: the velocity, or the data (`"x"`).
        min_time_left: for `"x"`, the smallest `1 - t` that the velocity is divided by.

    Raises:
        UserError: for a sigma or min_time_left that is not positive, or a negative shift.
    """

    time_law: Literal["logit_normal", "uniform"] = "logit_normal"
    mu: float = 0.0
    sigma: float = 1.0
    shift: float = 1.0
    prediction: Literal["velocity", "x"] = "velocity"
    min_time_left: float = 0.05

    def __post_init__(self) -> None:
        for name in ("sigma", "min_time_left"):
            if getattr(self, name) <= 0:
                raise UserError(f"flow {name} {getattr(self, name)}: use a number above 0")
        if self.shift < 0:
            raise UserError(f"flow shift {self.shift}: use a number above 0, or 1 for none")

    def sample_times(self, key: Array, batch: int) -> Array:
        """Returns (B,) float32 times from the second half of `split(key)`."""
        draw_key = jax.random.split(key)[1]
        if self.time_law == "logit_normal":
            t = jax.nn.sigmoid(self.mu + self.sigma * jax.random.normal(draw_key, (batch,), jnp.float32))
        else:
            t = jax.random.uniform(draw_key, (batch,), jnp.float32)
        return shift_times(t, self.shift)

    def interpolate(self, noise: Array, data: Array, t: Array) -> Array:
        """Returns `(1 - t) noise + t data`."""
        t = per_example(t, data)
        return (1 - t) * noise + t * data

    def velocity(self, prediction: Array, x_t: Array, t: Array) -> Array:
        """Returns the prediction itself, or `(prediction - x_t) / max(1 - t, min_time_left)`."""
        if self.prediction == "velocity":
            return prediction
        return (prediction - x_t) / jnp.maximum(1 - per_example(t, x_t), self.min_time_left)

    def target(self, noise: Array, data: Array, t: Array) -> Array:
        """Returns `data - noise`, or for x-prediction the velocity that the data itself would stand for."""
        if self.prediction == "velocity":
            return data - noise
        return self.velocity(data, self.interpolate(noise, data, t), t)

    def join(self, data: Array, noise: Array, t: Array) -> Array:
        """Returns `t data + (1 - t) noise`."""
        t = per_example(t, data)
        return t * data + (1 - t) * noise

    def split(self, x_t: Array, velocity: Array, t: Array) -> tuple[Array, Array]:
        """Returns `x_t + (1 - t) velocity` and `x_t - t velocity`."""
        t = per_example(t, x_t)
        return x_t + (1 - t) * velocity, x_t - t * velocity

    def straighten(self, t: Array) -> tuple[Array, Array]:
        """Returns 1 and t: the path is straight as it is."""
        return jnp.ones((), t.dtype), t


def shift_times(t: Array, shift: float) -> Array:
    """Returns `s t / (1 + (s - 1) t)`, or `t` itself for a shift of 0 or 1; below 1 moves times towards
    noise.

    Any shape; the end points 0 and 1 stay.
    """
    if shift in (0, 1):
        return t
    return shift * t / (1 + (shift - 1) * t)


def per_example(t: Array, like: Array) -> Array:
    """Returns times (B,) as (B, 1, ...) with the number of axes of `like`; a scalar stays one."""
    return t.reshape(t.shape + (1,) * (like.ndim - 1)) if t.ndim else t
