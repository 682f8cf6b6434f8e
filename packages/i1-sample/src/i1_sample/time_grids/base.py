"""What a time grid is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i1_hooks import ComponentConfig

if TYPE_CHECKING:
    import numpy as np


class TimeGridConfig(ComponentConfig, kind="time_grids"):
    """Base of every time grid; the configuration is the grid."""

    @property
    def fixed_num_steps(self) -> int | None:
        """The only number of steps that the grid has; None for any."""
        return None

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the times of `num_steps` steps.

        Args:
            num_steps: n, at least 1.

        Returns:
            (n + 1,) float32, strictly increasing from 0 to 1.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define times()")
