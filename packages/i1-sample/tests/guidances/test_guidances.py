import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.flow import RectifiedFlow
from i1_sample.guidances import NoGuidance
from i1_sample.guidances.classifier_free import ClassifierFree
from i1_sample.guidances.projected import AdaptiveProjected, ZeroStar
from i1_sample.testing.guidances import GuidanceSuite


class TestNoGuidance(GuidanceSuite):
    component = NoGuidance()


class TestClassifierFree(GuidanceSuite):
    component = ClassifierFree()


class TestPlainClassifierFree(GuidanceSuite):
    component = ClassifierFree(rescale=0.0, interval_start=0.3, interval_end=0.8)


class TestZeroStar(GuidanceSuite):
    component = ZeroStar(zero_until=0.04)


class TestAdaptiveProjected(GuidanceSuite):
    component = AdaptiveProjected(eta=0.5, norm_threshold=2.0)


@pytest.mark.golden
def test_recorded_guidance(goldens: Path) -> None:
    cases = json.loads((goldens / "cfg.json").read_text())["cases"]
    with np.load(goldens / "cfg.npz") as arrays:
        cond, uncond, latents = (jnp.asarray(arrays[n]) for n in ("cond", "uncond", "latents"))
        for name, case in cases.items():
            flow = RectifiedFlow(prediction=case["prediction"])
            t = jnp.float32(case["t"])
            times = jnp.full(3, t)
            guidance = ClassifierFree(
                rescale=case["rescale"] or 0.0, interval_start=case["cfg_interval_start"] or 0.0
            )
            velocities = [flow.velocity(v, latents, times) for v in (cond, uncond)]
            out = guidance.combine(*velocities, jnp.float32(case["scale"]), t)
            np.testing.assert_allclose(out, arrays[f"out/{name}"], atol=2e-5, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(("t", "is_guided"), [(0.29, False), (0.3, True), (0.8, True), (0.81, False)])
def test_guidance_is_on_inside_its_interval_alone(t, is_guided) -> None:
    conditional, unconditional = TestClassifierFree().velocities()
    guidance = ClassifierFree(rescale=0.0, interval_start=0.3, interval_end=0.8)
    guided = guidance.combine(conditional, unconditional, jnp.float32(5), jnp.float32(t))
    assert bool(jnp.array_equal(guided, conditional)) != is_guided


def test_rescaling_restores_the_spread_of_the_conditional_velocity() -> None:
    conditional, unconditional = TestClassifierFree().velocities()
    guided = ClassifierFree(rescale=1.0).combine(conditional, unconditional, jnp.float32(12), jnp.float32(0))
    np.testing.assert_allclose(jnp.std(guided[0]), jnp.std(conditional[0]), rtol=1e-5)


def test_zero_star_fits_a_scaled_unconditional_velocity() -> None:
    conditional, _ = TestZeroStar().velocities()
    guided = ZeroStar().combine(conditional, 3 * conditional, jnp.float32(8), jnp.float32(0))
    np.testing.assert_allclose(guided, conditional, atol=1e-5)
    assert (
        not ZeroStar(zero_until=0.04)
        .combine(conditional, conditional, jnp.float32(8), jnp.float32(0.03))
        .any()
    )


def test_projected_guidance_with_the_whole_parallel_part_is_classifier_free() -> None:
    conditional, unconditional = TestAdaptiveProjected().velocities()
    scale, t = jnp.float32(7), jnp.float32(0)
    np.testing.assert_allclose(
        AdaptiveProjected(eta=1.0).combine(conditional, unconditional, scale, t),
        ClassifierFree(rescale=0.0).combine(conditional, unconditional, scale, t),
        atol=1e-5,
    )
    update = AdaptiveProjected().combine(conditional, unconditional, scale, t) - conditional
    assert abs(float(jnp.vdot(update[0], conditional[0]))) < 1e-2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassifierFree(rescale=1.5), r"rescale must be in \[0, 1\], got 1.5"),
        (lambda: ClassifierFree(interval_start=-1.0), r"interval_start must be in \[0, 1\]"),
        (lambda: ZeroStar(zero_until=2.0), "zero_until"),
        (lambda: AdaptiveProjected(norm_threshold=-1.0), "norm_threshold"),
    ],
)
def test_bad_fields_are_refused(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
