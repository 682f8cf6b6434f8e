"""The conformance suite of time grids."""

# ruff: noqa: D102 (the names of the checks say what they check)

from __future__ import annotations

import numpy as np
from i1_hooks import from_dict, to_dict

from i1_sample.time_grids import TimeGridConfig


class TimeGridSuite:
    """What every time grid must do; subclass it in a test file.

    Example:
        class TestMine(TimeGridSuite):
            grid = MyGrid()
    """

    grid: TimeGridConfig
    checks_json: bool = True
    """Whether the component is registered, so that its configuration must survive JSON."""

    def test_config_survives_json(self) -> None:
        if self.checks_json:
            assert from_dict(TimeGridConfig, to_dict(self.grid)) == self.grid

    def test_times_run_from_noise_to_data(self) -> None:
        for num_steps in (1, 2, 3, 10, 50, 250):
            times = self.grid.times(num_steps)
            assert times.shape == (num_steps + 1,)
            assert times.dtype == np.float32
            assert times[0] == 0
            assert times[-1] == 1
            assert (np.diff(times) > 0).all(), f"{num_steps} steps: times must increase"
