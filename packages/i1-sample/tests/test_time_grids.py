from pathlib import Path

import numpy as np
import pytest
from i1_hooks import UserError
from i1_sample.testing.time_grids import TimeGridSuite
from i1_sample.time_grids.grids import Cosine, LinearQuadratic, Shifted, Uniform


class TestUniform(TimeGridSuite):
    component = Uniform()


class TestShifted(TimeGridSuite):
    component = Shifted()


class TestShiftedTowardsData(TimeGridSuite):
    component = Shifted(shift=3.0)


class TestCosine(TimeGridSuite):
    component = Cosine()


class TestLinearQuadratic(TimeGridSuite):
    component = LinearQuadratic()


@pytest.mark.golden
@pytest.mark.parametrize("num_steps", [8, 10, 50, 250])
@pytest.mark.parametrize("shift", [0.3, 0.0])
def test_recorded_times(goldens: Path, num_steps: int, shift: float) -> None:
    with np.load(goldens / "time_grids.npz") as arrays:
        recorded = arrays[f"jax_time_grid_shift{shift}_steps{num_steps}"]
    np.testing.assert_allclose(Shifted(shift=shift).times(num_steps), recorded, atol=5e-7)


def test_no_shift_is_uniform() -> None:
    for shift in (0.0, 1.0):
        np.testing.assert_array_equal(Shifted(shift=shift).times(12), Uniform().times(12))


def test_linear_quadratic_reaches_its_threshold_half_way_with_one_slope() -> None:
    times = LinearQuadratic(threshold=0.1).times(100)
    assert times[50] == pytest.approx(0.1)
    steps = np.diff(times)
    assert steps[:50] == pytest.approx(0.002, abs=1e-6)
    assert (np.diff(steps[50:]) > 0).all()


def test_bad_fields_are_refused() -> None:
    with pytest.raises(UserError, match=r"shift must be 0 .* got -1"):
        Shifted(shift=-1.0)
    with pytest.raises(UserError, match="threshold"):
        LinearQuadratic(threshold=0.7)
