from pathlib import Path

import numpy as np
import pytest
from i1_hooks import UserError
from i1_sample.testing.time_grids import TimeGridSuite
from i1_sample.time_grids.grids import Beta, Cosine, Explicit, Karras, LinearQuadratic, Shifted, Uniform


class TestUniform(TimeGridSuite):
    component = Uniform()


class TestShifted(TimeGridSuite):
    component = Shifted()


class TestShiftedTowardsData(TimeGridSuite):
    component = Shifted(shift=3.0)


class TestCosine(TimeGridSuite):
    component = Cosine()


class TestKarras(TimeGridSuite):
    component = Karras()


class TestBeta(TimeGridSuite):
    component = Beta()


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
    for make in (lambda: Karras(rho=0.0), lambda: Karras(last=1.0), lambda: Beta(alpha=0.0)):
        with pytest.raises(UserError, match="must be"):
            make()
    for values in ((0.0,), (0.0, 0.5), (0.1, 1.0), (0.0, 0.5, 0.5, 1.0)):
        with pytest.raises(UserError, match="values must strictly increase from 0 to 1"):
            Explicit(values=values)


def test_karras_spaces_the_roots_of_noise_levels_evenly() -> None:
    levels = 1 - Karras(rho=7.0, last=0.005).times(20).astype(float)
    roots = levels[:-1] ** (1 / 7)
    np.testing.assert_allclose(np.diff(roots), (0.005 ** (1 / 7) - 1) / 19, rtol=1e-3)
    assert levels[-2] == pytest.approx(0.005, abs=1e-6)


def test_beta_with_equal_parameters_is_symmetric_and_uniform_at_one() -> None:
    times = Beta(alpha=0.6, beta=0.6).times(10)
    np.testing.assert_allclose(times + times[::-1], 1, atol=1e-6)
    assert times[1] < 0.1
    np.testing.assert_allclose(Beta(alpha=1.0, beta=1.0).times(10), Uniform().times(10), atol=1e-6)


def test_linear_quadratic_is_a_line_and_then_a_parabola() -> None:
    """Halves of 4 of 8 steps, threshold 0.1: 0.025 i, then 0.1 + 0.025 k + c k^2 that ends at 1."""
    c = (1 - 0.1 - 0.025 * 4) / 4**2
    expected = [0, 0.025, 0.05, 0.075, 0.1, *(0.1 + 0.025 * k + c * k * k for k in (1, 2, 3)), 1]
    np.testing.assert_allclose(LinearQuadratic(threshold=0.1).times(8), expected, atol=1e-6)
    np.testing.assert_allclose(
        LinearQuadratic(threshold=0.1).times(3)[:3], [0, 0.1, 0.1 + 0.1 + 0.175], atol=1e-6
    )


@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_cosine_at_known_points(num_steps: int) -> None:
    expected = [1 - np.cos(np.pi / 2 * i / num_steps) for i in range(num_steps + 1)]
    np.testing.assert_allclose(Cosine().times(num_steps), expected, atol=1e-6)


def test_explicit_times_fix_the_number_of_steps(pipeline) -> None:
    grid = Explicit(values=(0.0, 0.25, 1.0))
    np.testing.assert_array_equal(grid.times(2), np.float32([0, 0.25, 1]))
    given = {"component": "explicit", "values": [0.0, 0.25, 1.0]}
    assert pipeline.plan("a star", time_grid=given).settings.num_inference_steps == 2
    with pytest.raises(UserError, match="has 2 steps, asked for 5: leave num_inference_steps out"):
        pipeline.plan("a star", time_grid=given, num_inference_steps=5)
