"""The conformance suite of time grids."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import numpy as np
from i1_hooks.testing import ComponentSuite

from i1_sample.time_grids import TimeGridConfig


class TimeGridSuite(ComponentSuite[TimeGridConfig]):
    """What every time grid must do; subclass it in a test file.

    Example:
        class TestMine(TimeGridSuite):
            component = MyGrid()
    """

    def test_times_run_from_noise_to_data(self) -> None:
        for num_steps in (1, 2, 3, 10, 50, 250):
            times = self.component.times(num_steps)
            assert times.shape == (num_steps + 1,)
            assert times.dtype == np.float32
            assert times[0] == 0
            assert times[-1] == 1
            assert (np.diff(times) > 0).all(), f"{num_steps} steps: times must increase"
