"""Traces objectives and schedules with every jaxtyping annotation checked; `test_annotations.py` runs it.

The import hook must be installed before the modules that it checks are imported.
"""

import jax
import jax.numpy as jnp
from jaxtyping import TypeCheckError, install_import_hook

with install_import_hook(("i1_train.objectives", "i1_train.schedules"), "beartype.beartype"):
    from i1_model.flow import RectifiedFlow
    from i1_train.objectives import FlowMatching
    from i1_train.schedules import Constant, WarmRestart, WarmupCosine, WarmupStableDecay

FLOW, OBJECTIVE = RectifiedFlow(), FlowMatching()
DATA, TIME = jnp.ones((2, 4, 4, 3)), jnp.zeros(2)


def trace_objective(key, data, time):
    drawn = OBJECTIVE.draw(FLOW, key, data)
    at = OBJECTIVE.draw_at(FLOW, key, data, time)
    return [OBJECTIVE.losses(FLOW, data, example) for example in (drawn, at)]


def must_fail(function, *arguments):
    try:
        function(*arguments)
    except TypeCheckError:
        return
    raise SystemExit(f"{function} took arguments that its annotations forbid: nothing is checked")


for losses in jax.eval_shape(trace_objective, jax.random.key(0), DATA, TIME):
    assert (losses.shape, losses.dtype) == ((2,), jnp.float32)
for config in (Constant(), WarmupCosine(warmup=2), WarmupStableDecay(), WarmRestart()):
    rate = jax.eval_shape(config.build(20), jax.ShapeDtypeStruct((), jnp.int32))
    assert (rate.shape, rate.dtype) == ((), jnp.float32)

must_fail(OBJECTIVE.draw, FLOW, jax.random.key(0), DATA[0])
must_fail(OBJECTIVE.draw_at, FLOW, jax.random.key(0), DATA, jnp.zeros(3))
must_fail(OBJECTIVE.losses, FLOW, DATA[..., 0], OBJECTIVE.draw(FLOW, jax.random.key(0), DATA))
print("checked")
