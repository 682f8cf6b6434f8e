"""The update rule against recorded steps, and its frozen and multiplied parts."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from i1_hooks import UserError
from i1_train.config import Average
from i1_train.optimizers.adafactor import Adafactor
from i1_train.optimizers.adam import Adam
from i1_train.optimizers.muon import Muon
from i1_train.parameters import ParameterInfo, describe_parameters, factors
from i1_train.recipes.scenes import scenes_tiny
from i1_train.schedules import Constant
from i1_train.step import update_average
from i1_train.update import clip, make_update


def config_of(settings):
    """The recorded settings as a recipe: two lists of patterns become one, factors multiplied.

    What a record does not say has the published code's default.
    """
    frozen = tuple(pattern for pattern, factor in settings["schedule"] if factor is None)
    multipliers = tuple(
        (f"(?=(?:{outer})$)(?:{inner})", outer_factor * inner_factor)
        for outer, outer_factor in settings["schedule"]
        if outer_factor is not None
        for inner, inner_factor in settings.get("lr_mults") or [[".*", 1.0]]
    )
    adam = settings.get("optax") or {}
    return dataclasses.replace(
        scenes_tiny(),
        optimizer=Adam(
            b1=adam.get("b1", 0.9),
            b2=adam.get("b2", 0.999),
            eps=adam.get("eps", 1e-8),
            moment_dtype=adam.get("mu_dtype") or "float32",
            weight_decay=settings.get("wd") or 0.0,
            decay_multipliers=tuple(
                (pattern, factor)
                for pattern, factor in settings.get("wd_mults") or [[".*/kernel", 1.0]]
                if factor is not None
            ),
        ),
        schedule=Constant(lr=settings["lr"]),
        frozen=frozen,
        lr_multipliers=multipliers,
        clip_norm=settings.get("grad_clip_norm"),
        average=Average(decay=settings.get("ema_decay_rate", 0.9999)),
    )


@pytest.mark.golden(pattern="optimizer_*.npz")
def test_recorded_steps(golden_file):
    recorded = np.load(golden_file)
    about = json.loads(golden_file.with_suffix(".json").read_text())
    config = config_of(about["settings"])

    def tree(kind):
        return {n.partition("/")[2]: jnp.asarray(recorded[n]) for n in recorded if n.startswith(f"{kind}/")}

    params = tree("params0")
    monitored = describe_parameters(params)
    # A pattern pair that meets no parameter of the small recorded tree is no mistake here.
    names = [info.names[0] for info in monitored.values()]
    used = tuple(rule for rule in config.lr_multipliers if any(re.fullmatch(rule[0], n) for n in names))
    update = make_update(dataclasses.replace(config, lr_multipliers=used), monitored)
    frozen = set(params) - set(update.trained)
    assert frozen == {name for name in params if any(re.fullmatch(p, name) for p in config.frozen)}
    trained = {path: params[path] for path in update.trained}
    ema, opt, apply = trained, update.init(trained), jax.jit(update)
    decay = jnp.float32(config.average.decay)
    for step in range(1, about["steps"] + 1):
        grads = {path: tree(f"grads{step}")[path] for path in trained}
        trained, opt, norm = apply(grads, opt, trained)
        ema = jax.jit(update_average)(ema, trained, decay)
        np.testing.assert_allclose(norm, about["global_grad_norm_without_frozen"][step - 1], rtol=1e-6)
        for path in trained:
            np.testing.assert_allclose(trained[path], recorded[f"params{step}/{path}"], atol=1e-7)
            np.testing.assert_allclose(ema[path], recorded[f"ema{step}/{path}"], atol=1e-7)
        for path in frozen:
            np.testing.assert_array_equal(params[path], recorded[f"params{step}/{path}"])


STACKED = {
    "backbone/blocks/stacked/mlp/kernel": jax.ShapeDtypeStruct((2, 3, 4), jnp.float32),
    "backbone/blocks/final/mlp/kernel": jax.ShapeDtypeStruct((3, 4), jnp.float32),
    "backbone/x_embedder/proj/bias": jax.ShapeDtypeStruct((4,), jnp.float32),
}


def ones(shapes=STACKED):
    return {path: jnp.ones(shape.shape, shape.dtype) for path, shape in shapes.items()}


def updated(**changes):
    config = dataclasses.replace(scenes_tiny(), schedule=Constant(lr=0.1), **changes)
    update = make_update(config, describe_parameters(STACKED))
    trained = {path: value for path, value in ones().items() if path in update.trained}
    new, _, norm = jax.jit(update)(trained, update.init(trained), trained)
    return {path: np.asarray(value) for path, value in new.items()}, float(norm)


def test_parameters_know_their_layers():
    infos = describe_parameters(STACKED)
    assert infos["backbone/blocks/stacked/mlp/kernel"] == ParameterInfo(
        ("blocks_0/mlp/kernel", "blocks_1/mlp/kernel"), True, 3
    )
    assert infos["backbone/blocks/final/mlp/kernel"].names == ("blocks_2/mlp/kernel",)


def test_the_first_matching_rule_counts_layer_by_layer():
    info = describe_parameters(STACKED)["backbone/blocks/stacked/mlp/kernel"]
    assert factors(info, [(r"blocks_\d+/.*", 0.5), (".*", 0.1)]) == np.float32(0.5)
    np.testing.assert_array_equal(
        factors(info, [("blocks_1/.*", 0.5), ("blocks_.*", 0.25)]), np.float32([[[0.25]], [[0.5]]])
    )


def test_frozen_parameters_are_out_and_frozen_layers_stand_still():
    new, norm = updated(frozen=("blocks_0/.*", "x_embedder/.*"))
    assert set(new) == {"backbone/blocks/stacked/mlp/kernel", "backbone/blocks/final/mlp/kernel"}
    assert norm == pytest.approx(np.sqrt(24))  # one layer of the stack and the final block
    kernel = new["backbone/blocks/stacked/mlp/kernel"]
    np.testing.assert_array_equal(kernel[0], 1)
    assert (kernel[1] < 1).all()


def test_multipliers_scale_updates():
    plain, _ = updated()
    halved, _ = updated(lr_multipliers=(("blocks_2/.*", 0.5),))
    path = "backbone/blocks/final/mlp/kernel"
    np.testing.assert_allclose(halved[path] - 1, (plain[path] - 1) / 2, rtol=1e-5)
    np.testing.assert_array_equal(
        halved["backbone/x_embedder/proj/bias"], plain["backbone/x_embedder/proj/bias"]
    )


@pytest.mark.parametrize("field", ["frozen", "lr_multipliers"])
def test_a_pattern_that_matches_nothing_is_a_mistake(field):
    value = ("block_0/.*",) if field == "frozen" else (("block_0/.*", 2.0),)
    with pytest.raises(
        UserError, match=rf"{field}: 'block_0/\.\*' matches no whole parameter name.*blocks_0"
    ):
        updated(**{field: value})


def test_nothing_left_to_train_is_a_mistake():
    with pytest.raises(UserError, match="leave no parameter to train"):
        updated(frozen=(".*",))


def test_clipping_keeps_small_gradients_and_shrinks_large_ones():
    small, norm = clip({"a": jnp.full((4,), 0.1)}, 1.0)
    np.testing.assert_array_equal(small["a"], np.full(4, 0.1, np.float32))
    assert float(norm) == pytest.approx(0.2)
    large, norm = clip({"a": jnp.full((4,), 10.0)}, 1.0)
    np.testing.assert_allclose(large["a"], 0.5)
    assert float(norm) == pytest.approx(20)
    free, _ = clip({"a": jnp.full((4,), 10.0)}, None)
    np.testing.assert_array_equal(free["a"], 10)


def test_a_gradient_of_exactly_the_largest_norm_is_divided_and_multiplied():
    exact = np.float32([1 / 3, 2 / 3, 2 / 3])
    largest = float(optax.tree.norm({"a": jnp.asarray(exact)}))
    at, norm = clip({"a": jnp.asarray(exact)}, largest)
    assert float(norm) == largest
    np.testing.assert_array_equal(at["a"], exact / np.float32(largest) * np.float32(largest))
    above = float(np.nextafter(np.float32(largest), np.float32(2)))
    below, _ = clip({"a": jnp.asarray(exact)}, above)
    np.testing.assert_array_equal(below["a"], exact)


def decayed(optimizer, steps=1):
    """Returns parameters of 1 after steps without gradient at a learning rate of 0.5: only decay is left."""
    params = {path: jnp.ones(shape.shape, shape.dtype) for path, shape in STACKED.items()}
    config = dataclasses.replace(scenes_tiny(), optimizer=optimizer, schedule=Constant(lr=0.5), frozen=())
    update = make_update(config, describe_parameters(params))
    state, zeros = update.init(params), jax.tree.map(jnp.zeros_like, params)
    for _ in range(steps):
        params, state, _ = jax.jit(update)(zeros, state, params)
    return params


@pytest.mark.parametrize("optimizer", [Adam, Muon, Adafactor])
@pytest.mark.parametrize(
    ("rules", "kernel", "bias"),
    [
        ((), 1.0, 1.0),
        (((".*kernel", 1.0),), 0.95, 1.0),
        (((".*", 1.0),), 0.95, 0.95),
        (((".*bias", 0.0), (".*", 1.0)), 0.95, 1.0),
        (((".*bias", 0.5), (".*", 1.0)), 0.95, 0.975),
        (((".*kernel", 2.0),), 0.9, 1.0),
    ],
)
def test_weight_decay_by_patterns(optimizer, rules, kernel, bias):
    after = decayed(optimizer(weight_decay=0.1, decay_multipliers=rules))
    np.testing.assert_allclose(after["backbone/blocks/stacked/mlp/kernel"], kernel, rtol=1e-6)
    np.testing.assert_allclose(after["backbone/x_embedder/proj/bias"], bias, rtol=1e-6)


def test_weight_decay_of_single_layers_of_a_stack():
    rules = (("blocks_0/.*", 0.5), (".*", 0.0))
    after = decayed(Adam(weight_decay=0.1, decay_multipliers=rules), steps=2)
    kernel = after["backbone/blocks/stacked/mlp/kernel"]
    np.testing.assert_allclose(kernel[0], 0.975**2, rtol=1e-6)
    np.testing.assert_array_equal(kernel[1], 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_decay": -0.1}, r"weight_decay must be 0 \(none\) or more, got -0\.1"),
        ({"decay_multipliers": (("(", 1.0),)}, r"'\(' is not a regular expression"),
        ({"decay_multipliers": ((".*", -1.0),)}, r"the factor of '\.\*' must be 0 \(none\) or more, got -1"),
    ],
)
def test_weight_decay_that_makes_no_sense(settings, message):
    with pytest.raises(UserError, match=message):
        Adam(**settings)
