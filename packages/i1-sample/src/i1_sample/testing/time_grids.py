"""The conformance suite of time grids."""

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
        """`times(n)` gives n + 1 float32 times that increase from 0 to 1, for any number of steps."""
        for num_steps in (1, 2, 3, 10, 50, 250):
            times = self.component.times(num_steps)
            found, expected = f"{times.dtype} {times.shape}", f"float32 {(num_steps + 1,)}"
            assert found == expected, f"times({num_steps}) returned {found}, expected {expected}"
            ends = (float(times[0]), float(times[-1]))
            assert ends == (0, 1), f"times({num_steps}) run from {ends[0]} to {ends[1]}, expected 0 to 1"
            assert (np.diff(times) > 0).all(), f"times({num_steps}) do not increase: {times}"
