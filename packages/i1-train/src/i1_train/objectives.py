"""Training losses: what the network is given, and how its prediction is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import jax
import jax.numpy as jnp
from i1_hooks import ComponentConfig
from i1_model.flow import FlowConfig
from jaxtyping import Array, Float, Key


class Example(TypedDict):
    """What one step trains on; every array has the leading batch dimension B.

    Attributes:
        data: clean latents (B, H, W, C).
        noise: standard normal noise of the same shape.
        time: (B,), 0 = noise, 1 = data.
        noisy: the network's input, (B, H, W, C).
    """

    data: Float[Array, "B H W C"]
    noise: Float[Array, "B H W C"]
    time: Float[Array, " B"]
    noisy: Float[Array, "B H W C"]


class ObjectiveConfig(ComponentConfig, kind="objectives"):
    """Base of every objective's configuration; its methods are pure and jittable."""

    def draw(self, flow: FlowConfig, key: Key[Array, ""], data: Float[Array, "B H W C"]) -> Example:
        """Draws noise and times for a batch of clean latents (B, H, W, C)."""
        raise NotImplementedError(f"{type(self).__qualname__} must define draw()")

    def losses(
        self, flow: FlowConfig, prediction: Float[Array, "B H W C"], example: Example
    ) -> Float[Array, " B"]:
        """Returns the loss of each example, (B,) float32, for the network's prediction (B, H, W, C)."""
        raise NotImplementedError(f"{type(self).__qualname__} must define losses()")

    def draw_at(
        self,
        flow: FlowConfig,
        key: Key[Array, ""],
        data: Float[Array, "B H W C"],
        time: Float[Array, " B"],
    ) -> Example:
        """Draws an example at given times, for the held-out loss.

        By default it is what `draw` returns, with these times and the flow's interpolant at them.
        """
        example = self.draw(flow, key, data)
        noisy = flow.interpolate(example["noise"], data, time)
        return {**example, "time": time, "noisy": noisy}


@dataclass(frozen=True, kw_only=True)
class FlowMatching(ObjectiveConfig):
    """Mean squared error of the velocity on the straight path from noise to data (arXiv 2209.03003)."""

    def draw(self, flow: FlowConfig, key: Key[Array, ""], data: Float[Array, "B H W C"]) -> Example:
        """Draws x_0 ~ N(0, I) and t from the flow's time law; x_t = (1 - t) x_0 + t x_1."""
        noise = jax.random.normal(jax.random.fold_in(key, 0), data.shape, jnp.float32)
        time = flow.sample_times(jax.random.fold_in(key, 1), data.shape[0])
        return Example(data=data, noise=noise, time=time, noisy=flow.interpolate(noise, data, time))

    def losses(
        self, flow: FlowConfig, prediction: Float[Array, "B H W C"], example: Example
    ) -> Float[Array, " B"]:
        """Returns mean((v - u)^2) over all but the batch axis, u = x_1 - x_0."""
        velocity = flow.velocity(prediction.astype(jnp.float32), example["noisy"], example["time"])
        target = flow.target(example["noise"], example["data"], example["time"])
        return jnp.mean(jnp.square(velocity - target), axis=tuple(range(1, velocity.ndim)))

    def draw_at(
        self,
        flow: FlowConfig,
        key: Key[Array, ""],
        data: Float[Array, "B H W C"],
        time: Float[Array, " B"],
    ) -> Example:
        """Draws x_0 ~ N(0, I) from the key itself; the time law draws nothing here."""
        noise = jax.random.normal(key, data.shape, jnp.float32)
        return Example(data=data, noise=noise, time=time, noisy=flow.interpolate(noise, data, time))
