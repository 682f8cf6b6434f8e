"""The trace of a few steps."""

import jax
import jax.numpy as jnp
from i1_train.monitoring.profiling import FIRST, profile_steps


def test_a_trace_of_the_wanted_steps(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: events.append(("start", folder)))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: events.append("stop"))

    def train_step(state, constants, batch):
        events.append(int(state))
        return state + 1, {}

    with profile_steps(train_step, tmp_path, 2) as step:
        state = jnp.int32(1)
        for _ in range(6):
            state, _ = step(state, None, None)
    assert FIRST == 3
    assert events == [1, 2, ("start", tmp_path), 3, 4, "stop", 5, 6]


def test_a_real_trace_of_a_run_that_ends_before_it(tmp_path):
    with profile_steps(jax.jit(lambda s, c, b: (s + 1, {})), tmp_path, 3) as step:
        state = jnp.int32(0)
        for _ in range(4):
            state, _ = step(state, None, None)
    assert list(tmp_path.rglob("*.trace.json.gz")) or list(tmp_path.rglob("*.xplane.pb"))
