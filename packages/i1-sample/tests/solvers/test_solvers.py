import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.flow import RectifiedFlow
from i1_model.testing.flows import FlowSuite
from i1_sample.solvers import Velocity
from i1_sample.solvers.ancestral import LCM, Ancestral
from i1_sample.solvers.multistep import AdamsBashforth2, AdamsBashforth3, DPMSolverPP2M, UniPC
from i1_sample.solvers.one_step import DormandPrince5, Euler, Heun, Midpoint, RungeKutta4
from i1_sample.testing.flows import FLOWS, MEAN, STD, TrigonometricFlow, gaussian_velocity
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


class TestDormandPrince5(SolverSuite):
    component = DormandPrince5()


class TestAdamsBashforth2(SolverSuite):
    component = AdamsBashforth2()


class TestAdamsBashforth3(SolverSuite):
    component = AdamsBashforth3()


class TestDPMSolverPP2M(SolverSuite):
    component = DPMSolverPP2M()
    order_until = 0.9


class TestUniPC(SolverSuite):
    component = UniPC()
    order_until = 0.9


class TestLCM(SolverSuite):
    """Its pictures are too smooth with an exact velocity: that is no consistency model."""

    component = LCM()
    draws_noise = True
    spread_tolerance = 0.4


class TestAncestral(SolverSuite):
    component = Ancestral()
    draws_noise = True


class TestAncestralWithoutFreshNoise(SolverSuite):
    component = Ancestral(eta=0.0)


class TestTrigonometricFlow(FlowSuite):
    component = TrigonometricFlow()
    checks_json = False


def draws(solver, count=4000, steps=400, flow="straight"):
    noise = jax.random.normal(jax.random.key(1), (count, 3))
    velocity, times = gaussian_velocity(FLOWS[flow]), Shifted().times(steps)
    return np.asarray(noise), np.asarray(
        jax.jit(lambda x: integrate(solver, velocity, x, times, FLOWS[flow]))(noise)
    )


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ancestral_draws_from_the_distribution_of_the_data(eta, flow):
    noise, drawn = draws(Ancestral(eta=eta), flow=flow)
    assert abs(drawn.mean() - MEAN) < 0.02
    assert abs(drawn.std() / STD - 1) < 0.05
    correlation = np.corrcoef(noise.ravel(), drawn.ravel())[0, 1]
    assert correlation > 0.999 if eta == 0 else correlation < 0.9


def test_the_fresh_noise_of_a_row_does_not_depend_on_its_batch():
    noise, drawn = draws(Ancestral(), count=4, steps=5)
    velocity = gaussian_velocity(FLOWS["straight"])
    alone = integrate(Ancestral(), velocity, jnp.asarray(noise[2:3]), Shifted().times(5))
    np.testing.assert_allclose(alone, drawn[2:3], atol=1e-5)
    assert np.ptp(drawn, axis=0).min() > 1e-3


def test_ancestral_refuses_an_eta_outside_of_its_range():
    with pytest.raises(UserError, match=r"eta must be from 0 to 1, got 1\.5"):
        Ancestral(eta=1.5)


def old_ancestral_step(v, x, bits, t, t_next):
    """The step as it was for straight paths alone."""
    data, noise = x + (1 - t) * v, x - t * v
    shrink = t * (1 - t_next) / jnp.maximum(t_next * (1 - t), jnp.finfo(x.dtype).tiny)
    renewed = 1 - jnp.minimum(shrink, 1) ** 2
    time_bits = jax.lax.bitcast_convert_type(jnp.asarray(t, jnp.float32), jnp.uint32)

    def draw(bits):
        key = jax.random.fold_in(jax.random.wrap_key_data(bits, impl="threefry2x32"), time_bits)
        return jax.random.normal(key, x.shape[1:], x.dtype)

    mixed = jnp.sqrt(1 - renewed) * noise + jnp.sqrt(renewed) * jax.vmap(draw)(bits)
    return t_next * data + (1 - t_next) * mixed


def old_dpmpp_step(v, x, carry, t, t_next):
    before, h_before = carry
    data = x + (1 - t) * v
    decay = (1 - t_next) / (1 - t)
    is_last = decay <= 0
    h = -jnp.log(jnp.where(is_last, 1.0, decay))
    slope = jnp.where(h_before > 0, (data - before) / jnp.where(h_before > 0, h_before, 1.0), 0.0)
    extrapolated = data + jnp.where(is_last, 0.0, 0.5 * h) * slope
    return decay * x + (1 - decay) * extrapolated


@pytest.mark.parametrize("step", [0, 1, 5, 19])
def test_straight_paths_are_stepped_bit_for_bit_as_before(step):
    times = Shifted(shift=0.15).times(20)
    t, t_next = jnp.asarray(times[step]), jnp.asarray(times[step + 1])
    x, v, before = (jax.random.normal(jax.random.key(k), (2, 8, 8, 3)) for k in range(3))
    flow = RectifiedFlow()
    velocity = Velocity(lambda x, t: v, flow)
    bits = Ancestral().init(x)
    new = jax.jit(lambda *a: Ancestral().step(velocity, *a)[0])(x, bits, t, t_next)
    np.testing.assert_array_equal(new, jax.jit(old_ancestral_step)(v, x, bits, t, t_next))
    carry = (before, jnp.float32(0.3))
    new = jax.jit(lambda *a: DPMSolverPP2M().step(velocity, *a)[0])(x, carry, t, t_next)
    np.testing.assert_array_equal(new, jax.jit(old_dpmpp_step)(v, x, carry, t, t_next))
