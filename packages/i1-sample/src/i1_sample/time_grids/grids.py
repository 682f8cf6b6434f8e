"""The time grids that come with i1-sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from i1_hooks import UserError
from scipy.special import betaincinv

from i1_sample.time_grids.base import TimeGridConfig


@dataclass(frozen=True, kw_only=True)
class Uniform(TimeGridConfig):
    """Equal steps."""

    def times(self, num_steps: int) -> np.ndarray:
        """Returns `i / n`."""
        return np.linspace(0, 1, num_steps + 1, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Shifted(TimeGridConfig):
    """The published grid of i1: equal steps u, then `t = s u / (1 + (s - 1) u)`.

    Attributes:
        shift: s; below 1 the steps are small near the noise, above 1 near the data; 0 and 1 leave them equal.
    """

    shift: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.shift < float("inf"):
            raise UserError(f"time grid 'shifted': shift must be 0 (off) or positive, got {self.shift}")

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the shifted times."""
        u = np.linspace(0, 1, num_steps + 1, dtype=np.float64)
        if self.shift not in (0, 1):
            u = self.shift * u / (1 + (self.shift - 1) * u)
        return u.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Cosine(TimeGridConfig):
    """`t = 1 - cos(pi u / 2)`: steps that grow from the noise on."""

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the cosine times."""
        u = np.linspace(0, 1, num_steps + 1, dtype=np.float64)
        times = (1 - np.cos(np.pi / 2 * u)).astype(np.float32)
        times[-1] = 1
        return times


@dataclass(frozen=True, kw_only=True)
class LinearQuadratic(TimeGridConfig):
    """Short equal steps near the noise, then steps that grow linearly, so that the grid is a parabola.

    The first half of the steps covers `threshold` of the time; the parabola starts with the same slope.
    Source: the schedule of the Mochi video model, https://github.com/genmoai/mochi.

    Attributes:
        threshold: time covered by the first half of the steps, in (0, 0.5].
    """

    threshold: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 0.5:
            raise UserError(
                f"time grid 'linear_quadratic': threshold must be in (0, 0.5], got {self.threshold}"
            )

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the times."""
        num_linear = num_steps // 2
        slope = self.threshold / num_linear if num_linear else 0.0
        linear = slope * np.arange(num_linear)
        start = slope * num_linear
        places = np.arange(num_steps - num_linear + 1)
        curvature = (1 - start - slope * places[-1]) / places[-1] ** 2
        times = np.concatenate([linear, start + slope * places + curvature * places**2]).astype(np.float32)
        times[-1] = 1
        return times


@dataclass(frozen=True, kw_only=True)
class Karras(TimeGridConfig):
    """Noise levels `1 - t` that are evenly spaced in their 1/rho-th power, from 1 to `last`, and then 0.

    https://arxiv.org/abs/2206.00364, with the noise level of a straight path in place of sigma.

    Attributes:
        rho: above 1 the steps are small near the data; 7 is the paper's.
        last: the smallest noise level before 0, in (0, 1).
    """

    rho: float = 7.0
    last: float = 0.005

    def __post_init__(self) -> None:
        if not 0 < self.rho < float("inf") or not 0 < self.last < 1:
            raise UserError(
                "time grid 'karras': rho must be above 0 and last between 0 and 1, "
                f"got {self.rho} and {self.last}"
            )

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the times."""
        smallest = self.last ** (1 / self.rho)
        levels = (1 + np.linspace(0, 1, num_steps) * (smallest - 1)) ** self.rho
        return np.append(1 - levels, 1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Beta(TimeGridConfig):
    """Quantiles of a beta distribution at equal steps.

    https://arxiv.org/abs/2407.12173

    Attributes:
        alpha: below 1, steps are small near the noise.
        beta: below 1, steps are small near the data.
    """

    alpha: float = 0.6
    beta: float = 0.6

    def __post_init__(self) -> None:
        if not (0.1 <= self.alpha <= 10 and 0.1 <= self.beta <= 10):
            raise UserError(
                f"time grid 'beta': alpha and beta must be from 0.1 to 10, got {self.alpha} and {self.beta}"
            )

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the times."""
        u = np.linspace(0, 1, num_steps + 1, dtype=np.float64)
        return np.asarray(betaincinv(self.alpha, self.beta, u), np.float32)


@dataclass(frozen=True, kw_only=True)
class Explicit(TimeGridConfig):
    """Times as given, for one number of steps.

    Attributes:
        values: the times, strictly increasing from 0 to 1.
    """

    values: tuple[float, ...] = (0.0, 1.0)

    def __post_init__(self) -> None:
        times = np.asarray(self.values, np.float32)
        if len(times) < 2 or times[0] != 0 or times[-1] != 1 or not (np.diff(times) > 0).all():
            raise UserError(
                f"time grid 'explicit': values must strictly increase from 0 to 1, got {list(self.values)}"
            )

    @property
    def fixed_num_steps(self) -> int | None:
        """One less than there are values."""
        return len(self.values) - 1

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the values.

        Raises:
            UserError: for another number of steps.
        """
        if num_steps != self.fixed_num_steps:
            raise UserError(
                f"time grid 'explicit' has {self.fixed_num_steps} steps, asked for {num_steps}: leave "
                "num_inference_steps out, or give as many times and one more"
            )
        return np.asarray(self.values, np.float32)
