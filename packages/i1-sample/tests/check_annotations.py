"""Traces solvers and guidances with every jaxtyping annotation checked; run by `test_annotations.py`.

The import hook must be installed before the modules that it checks are imported.
"""

import jax
import jax.numpy as jnp
from jaxtyping import TypeCheckError, install_import_hook

CHECKED = (
    "i1_sample.solvers.one_step",
    "i1_sample.solvers.multistep",
    "i1_sample.solvers.ancestral",
    "i1_sample.guidances.classifier_free",
    "i1_sample.guidances.projected",
)

with install_import_hook(CHECKED, "beartype.beartype"):
    from i1_model.flow import RectifiedFlow
    from i1_sample.guidances.classifier_free import ClassifierFree
    from i1_sample.guidances.projected import AdaptiveProjected, ZeroStar
    from i1_sample.solvers.ancestral import LCM, Ancestral, row_keys
    from i1_sample.solvers.base import Velocity
    from i1_sample.solvers.multistep import AdamsBashforth2, AdamsBashforth3, DPMSolverPP2M, UniPC
    from i1_sample.solvers.one_step import DormandPrince5, Euler, Heun, Midpoint, RungeKutta4

ONE_STEP = (Euler(), Heun(), Midpoint(), RungeKutta4(), DormandPrince5())
SEVERAL = (AdamsBashforth2(), AdamsBashforth3(), DPMSolverPP2M(), UniPC(), Ancestral(), LCM())
x, t, later = jnp.ones((2, 4, 4, 3)), jnp.float32(0.2), jnp.float32(0.4)
for solver in (*ONE_STEP, *SEVERAL):
    velocity = Velocity(lambda x, t: x * t, RectifiedFlow())
    jax.eval_shape(lambda x, s=solver, v=velocity: s.step(v, x, s.init(x), t, later), x)
for guidance in (ClassifierFree(), ZeroStar(), AdaptiveProjected(norm_threshold=1.0)):
    jax.eval_shape(guidance.combine, x, x, t, t)


def must_fail(function, *arguments):
    try:
        function(*arguments)
    except TypeCheckError:
        return
    raise SystemExit(f"{function} took arguments that its annotations forbid: nothing is checked")


must_fail(row_keys, jnp.ones((2, 3), jnp.int32))
must_fail(ClassifierFree().combine, x, x[:1], t, t)
must_fail(Euler().step, Velocity(lambda x, t: x, RectifiedFlow()), x, (), jnp.ones(2), later)
