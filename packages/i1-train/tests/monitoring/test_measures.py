"""Norms and losses by time against plain numpy; operations against counts by hand."""

import math

import jax.numpy as jnp
import numpy as np
from i1_train.monitoring.measures import global_norm, loss_by_time, norms
from i1_train.monitoring.utilisation import memory


def test_loss_by_time():
    losses = jnp.asarray([1.0, 3.0, 5.0, 7.0], jnp.float32)
    found = loss_by_time(losses, jnp.asarray([0.0, 0.2, 0.5, 1.0], jnp.float32))
    assert list(found) == [f"loss_by_time/{a}" for a in ("0.00-0.25", "0.25-0.50", "0.50-0.75", "0.75-1.00")]
    assert [float(value) for value in found.values() if not math.isnan(value)] == [2.0, 5.0, 7.0]
    assert math.isnan(found["loss_by_time/0.25-0.50"])


def test_norms():
    rng = np.random.default_rng(0)
    before, after, ema = (
        {"a": rng.normal(size=(3, 2)).astype(np.float32), "b": rng.normal(size=5).astype(np.float32)}
        for _ in range(3)
    )

    def norm(arrays):
        return np.sqrt(sum(np.sum(np.square(array)) for array in arrays.values()))

    found = norms(*({k: jnp.asarray(v) for k, v in tree.items()} for tree in (before, after, ema)))
    np.testing.assert_allclose(found["norm/parameters"], norm(after), rtol=1e-6)
    np.testing.assert_allclose(
        found["norm/update"], norm({k: after[k] - before[k] for k in after}), rtol=1e-6
    )
    drift = norm({k: after[k] - ema[k] for k in after}) / norm(after)
    np.testing.assert_allclose(found["ema/drift"], drift, rtol=1e-6)


def test_a_norm_of_bfloat16_is_summed_in_float32():
    assert global_norm({"a": jnp.ones(1000, jnp.bfloat16)}).dtype == jnp.float32


def test_memory_of_this_process():
    assert 0.01 < memory()["memory/host"] < 1000
