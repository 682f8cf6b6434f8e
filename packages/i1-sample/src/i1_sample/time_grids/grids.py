"""Time grids in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from i1_hooks import UserError

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
