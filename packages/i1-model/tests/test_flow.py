import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError, from_dict, to_dict
from i1_model.flow import FlowConfig, RectifiedFlow, shift_times
from i1_model.testing.flows import FlowSuite
from model_goldens import FOLDER


class TestLogitNormal(FlowSuite):
    component = RectifiedFlow()


class TestUniformShifted(FlowSuite):
    component = RectifiedFlow(time_law="uniform", shift=0.3)


class TestPredictData(FlowSuite):
    component = RectifiedFlow(prediction="x")


def cases(stem: str) -> tuple[dict, dict]:
    with np.load(FOLDER / f"{stem}.npz", allow_pickle=False) as arrays:
        loaded = {name: arrays[name] for name in arrays.files}
    return json.loads((FOLDER / f"{stem}.json").read_text())["cases"], loaded


def flow_of(case: dict) -> RectifiedFlow:
    return RectifiedFlow(
        time_law="logit_normal" if case["use_lognorm"] else "uniform",
        mu=case["lognorm_mu"],
        sigma=case["lognorm_sigma"],
        shift=case["train_timestep_shift"],
        prediction=case["prediction"],
    )


@pytest.mark.golden
def test_recorded_times():
    settings, arrays = cases("rf_sample_times")
    for name, case in settings.items():
        key = jax.random.wrap_key_data(jnp.asarray(arrays[f"{name}/key"]))
        times = flow_of(case).sample_times(key, 64)
        np.testing.assert_allclose(times, arrays[f"{name}/t"], rtol=0, atol=2e-7, err_msg=name)


@pytest.mark.golden
def test_recorded_inputs_and_targets():
    settings, arrays = cases("rf_prepare")
    for name, case in settings.items():
        flow = flow_of(case)
        data, noise = (jnp.asarray(arrays[f"{name}/{part}"]) for part in ("latents", "noise"))
        key = jax.random.wrap_key_data(jnp.asarray(arrays[f"{name}/time_key"]))
        t = flow.sample_times(key, data.shape[0])
        np.testing.assert_allclose(t, arrays[f"{name}/t"], rtol=0, atol=2e-7)
        np.testing.assert_allclose(flow.interpolate(noise, data, t), arrays[f"{name}/xt"], rtol=0, atol=2e-6)
        np.testing.assert_allclose(flow.target(noise, data, t), arrays[f"{name}/ut"], rtol=0, atol=1e-6)


def test_shift_keeps_the_ends_and_inverts():
    t = jnp.linspace(0, 1, 11)
    shifted = shift_times(t, 0.3)
    assert shifted[0] == 0
    np.testing.assert_allclose(shifted[-1], 1, rtol=1e-6)
    assert bool(jnp.all(shifted[1:-1] < t[1:-1]))
    np.testing.assert_allclose(shift_times(shifted, 1 / 0.3), t, atol=1e-6)
    assert shift_times(t, 0) is t
    assert shift_times(t, 1) is t


def test_predicting_the_data_is_clamped_near_its_end():
    flow = RectifiedFlow(prediction="x", min_time_left=0.05)
    prediction, x_t = jnp.ones((2, 3)), jnp.zeros((2, 3))
    velocity = flow.velocity(prediction, x_t, jnp.asarray([0.5, 0.99]))
    np.testing.assert_allclose(velocity[:, 0], [2.0, 20.0], rtol=1e-5)


@pytest.mark.parametrize("field", ["sigma", "min_time_left"])
def test_values_that_make_no_flow(field):
    with pytest.raises(UserError, match=field):
        RectifiedFlow(**{field: 0.0})
    with pytest.raises(UserError, match="shift"):
        RectifiedFlow(shift=-1.0)


def test_json():
    flow = RectifiedFlow(time_law="uniform", shift=0.3)
    assert from_dict(FlowConfig, to_dict(flow)) == flow
