import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_sample.solvers.ancestral import Ancestral
from i1_sample.solvers.multistep import AdamsBashforth2, AdamsBashforth3, DPMSolverPP2M
from i1_sample.solvers.one_step import Euler, Heun, Midpoint, RungeKutta4
from i1_sample.testing.solvers import SolverSuite, integrate
from i1_sample.time_grids.grids import Shifted


class TestEuler(SolverSuite):
    component = Euler()


class TestHeun(SolverSuite):
    component = Heun()


class TestMidpoint(SolverSuite):
    component = Midpoint()


class TestRungeKutta4(SolverSuite):
    component = RungeKutta4()


class TestAdamsBashforth2(SolverSuite):
    component = AdamsBashforth2()


class TestAdamsBashforth3(SolverSuite):
    component = AdamsBashforth3()


class TestDPMSolverPP2M(SolverSuite):
    component = DPMSolverPP2M()
    order_until = 0.9


class TestAncestralWithoutFreshNoise(SolverSuite):
    component = Ancestral(eta=0.0)


MEAN, STD = 0.7, 0.5


def gaussian_velocity(x, t):
    """The exact velocity where data are normal with mean MEAN and standard deviation STD."""
    variance = t**2 * STD**2 + (1 - t) ** 2
    data = MEAN + t * STD**2 / variance * (x - t * MEAN)
    noise = (1 - t) / variance * (x - t * MEAN)
    return data - noise


def draws(solver, count=4000, steps=200):
    noise = jax.random.normal(jax.random.key(1), (count, 3))
    run = jax.jit(lambda x: integrate(solver, gaussian_velocity, x, Shifted().times(steps)))
    return np.asarray(noise), np.asarray(run(noise))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ancestral_draws_from_the_distribution_of_the_data(eta):
    noise, drawn = draws(Ancestral(eta=eta))
    assert abs(drawn.mean() - MEAN) < 0.02
    assert abs(drawn.std() / STD - 1) < 0.04
    correlation = np.corrcoef(noise.ravel(), drawn.ravel())[0, 1]
    assert correlation > 0.999 if eta == 0 else correlation < 0.9


def test_the_fresh_noise_of_a_row_does_not_depend_on_its_batch():
    noise, drawn = draws(Ancestral(), count=4, steps=5)
    alone = integrate(Ancestral(), gaussian_velocity, jnp.asarray(noise[2:3]), Shifted().times(5))
    np.testing.assert_allclose(alone, drawn[2:3], atol=1e-5)
    assert np.ptp(drawn, axis=0).min() > 1e-3


def test_ancestral_refuses_an_eta_outside_of_its_range():
    with pytest.raises(UserError, match=r"eta must be from 0 to 1, got 1\.5"):
        Ancestral(eta=1.5)
