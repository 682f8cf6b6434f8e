"""Bad steps: found on the device, skipped there or the end of the run, and written down."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_train.guard import SKIPPED, SPIKE, Guard, guard_step
from i1_train.monitoring.bad_steps import BadSteps, LossSpikeError, NotFiniteError

KEYS, CAPTIONS = ["k1", "k2"], ["a", "b"]


def run(guard, losses):
    """Returns per step: the loss_mean before it, the metrics, and whether the parameter moved."""
    state = {
        "params": jnp.float32(0),
        "step": jnp.int32(0),
        "loss_mean": jnp.float32(0),
    }
    rows = []
    for loss in losses:
        new = {**state, "params": state["params"] + 1, "step": state["step"] + 1}
        metrics = {"loss": jnp.float32(loss), "grad_norm": jnp.float32(1)}
        after, metrics = guard_step(guard, state, new, metrics)
        moved = float(after["params"]) > float(state["params"])
        rows.append((float(state["loss_mean"]), {k: float(v) for k, v in metrics.items()}, moved))
        assert int(after["step"]) == int(state["step"]) + 1
        state = after
    return rows


def test_the_mean_is_plain_first_and_running_then():
    means = [mean for mean, _, _ in run(Guard(spike_window=2), [4, 2, 2, 3])]
    np.testing.assert_allclose(means, [0, 4, 3, 2.5])


def test_a_spike_is_seen_once_the_window_is_full_and_moves_the_mean_little():
    guard = Guard(on_spike="skip", spike_factor=2, spike_window=2)
    rows = run(guard, [1, 9, 5, 100, 5, 5])
    assert [row[1][SPIKE] for row in rows] == [0, 0, 0, 1, 0, 0]
    assert [row[1][SKIPPED] for row in rows] == [0, 0, 0, 1, 0, 0]
    assert [moved for _, _, moved in rows] == [True, True, True, False, True, True]
    np.testing.assert_allclose(rows[4][0], 0.5 * 5 + 0.5 * 10)


def test_a_lasting_rise_is_accepted_in_the_end():
    rows = run(Guard(on_spike="skip", spike_factor=2, spike_window=4), [1] * 6 + [5] * 12)
    assert rows[6][1][SKIPPED] == 1
    assert rows[-1][1][SKIPPED] == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_leaves_the_state(bad):
    rows = run(Guard(on_nonfinite="skip"), [1, bad, 1])
    assert [moved for _, _, moved in rows] == [True, False, True]
    assert rows[2][0] == 1


def test_nothing_is_added_where_nothing_is_skipped():
    rows = run(Guard(), [1, float("nan")])
    assert set(rows[1][1]) == {"loss", "grad_norm"}
    assert rows[1][2]


def test_a_good_step_writes_nothing(tmp_path):
    BadSteps(tmp_path, 0).check(1, {"loss": 1.0, "grad_norm": 1.0, SPIKE: 0.0}, KEYS, CAPTIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"loss": float("nan"), "grad_norm": 1.0}, NotFiniteError, "guard.on_nonfinite=skip"),
        ({"loss": 1.0, "grad_norm": float("inf")}, NotFiniteError, "gradient norm inf at step 3"),
        ({"loss": 9.0, "grad_norm": 1.0, SPIKE: 1.0}, LossSpikeError, "guard.on_spike=skip"),
    ],
)
def test_a_bad_step_stops_and_names_its_batch(tmp_path, values, error, message):
    with pytest.raises(error, match=message):
        BadSteps(tmp_path, 0).check(3, values, KEYS, CAPTIONS)
    written = json.loads((tmp_path / "failed_batch.json").read_text())
    assert (written["step"], written["key"], written["caption"]) == (3, KEYS, CAPTIONS)


def test_skipped_batches_are_listed_once_over_a_resume(tmp_path):
    bad = {"loss": float("nan"), "grad_norm": 1.0, SKIPPED: 1.0}
    first = BadSteps(tmp_path, 0)
    for step in (2, 7):
        first.check(step, bad, KEYS, CAPTIONS)
    again = BadSteps(tmp_path, 5)
    again.check(7, bad, KEYS, CAPTIONS)
    rows = [json.loads(line) for line in (tmp_path / "skipped_batches.jsonl").read_text().splitlines()]
    assert [(row["step"], row["loss"], row["key"]) for row in rows] == [(2, "nan", KEYS), (7, "nan", KEYS)]


@pytest.mark.parametrize("field", [{"spike_factor": 1.0}, {"spike_window": 0}])
def test_settings_that_do_not_fit(field):
    with pytest.raises(UserError, match="must be"):
        Guard(**field)


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_first_step_that_can_be_a_spike_is_the_one_after_the_window(window):
    guard = Guard(on_spike="skip", spike_factor=2, spike_window=window)
    rows = run(guard, [1.0] * (window - 1) + [100.0, 100.0])
    early = run(guard, [1.0] * window + [100.0])
    assert [row[1][SPIKE] for row in rows[:window]] == [0.0] * window
    assert early[-1][1][SPIKE] == 1.0


def test_a_loss_of_exactly_the_factor_is_no_spike():
    guard = Guard(on_spike="skip", spike_factor=2, spike_window=1)
    above = float(np.nextafter(np.float32(2), np.float32(3)))
    assert run(guard, [1.0, 2.0])[-1][1][SPIKE] == 0.0
    assert run(guard, [1.0, above])[-1][1][SPIKE] == 1.0
