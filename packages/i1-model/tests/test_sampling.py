"""The sampling defaults of a model: today's form, the flat one, and what is refused."""

import pytest
from i1_hooks import UserError, from_dict, to_dict
from i1_hooks.registry import Registry
from i1_model.sampling import SamplingDefaults, read_sampling


def test_the_published_settings_are_the_defaults():
    published = SamplingDefaults()
    assert (published.num_inference_steps, published.guidance_scale, published.solver) == (250, 12.0, "euler")
    assert published.time_grid == {"component": "shifted", "shift": 0.3}
    assert published.guidance == {"component": "cfg", "rescale": 1.0}
    assert read_sampling({}) == published


def test_components_keep_their_fields_through_json():
    chosen = SamplingDefaults(solver={"component": "ancestral", "eta": 0.5}, time_grid="uniform")
    assert from_dict(SamplingDefaults, to_dict(chosen)) == chosen


def test_the_flat_form_of_earlier_models_is_read():
    flat = {"steps": 100, "guidance_scale": 2.0, "shift": 0.15, "rescale": 0.0, "solver": "ancestral"}
    assert read_sampling(flat) == SamplingDefaults(
        num_inference_steps=100,
        guidance_scale=2.0,
        solver="ancestral",
        time_grid={"component": "shifted", "shift": 0.15},
        guidance={"component": "cfg", "rescale": 0.0},
    )
    assert read_sampling({"shift": 0.5}) == SamplingDefaults(time_grid={"component": "shifted", "shift": 0.5})


@pytest.mark.parametrize(
    ("grid", "shift"),
    [
        ({"component": "shifted", "shift": 0.0}, 0.0),
        ({"component": "shifted"}, 0.3),
        ("shifted", 0.3),
        ("uniform", 1.0),
        ("cosine", None),
    ],
)
def test_the_shift_of_a_grid(grid, shift):
    assert SamplingDefaults(time_grid=grid).shift == shift


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps must be an integer of at least 1, got 0"),
        ({"steps": "many"}, "sampling.num_inference_steps: expected int"),
        ({"solver": 3}, r"sampling\.solver: expected"),
        ({"solver": {"eta": 1}}, "solver: expected a component's name, or an object with the name under"),
        ({"stepz": 3}, "unknown config path 'sampling.stepz'; did you mean"),
    ],
)
def test_what_does_not_fit_is_refused(data, message):
    with pytest.raises(UserError, match=message):
        read_sampling(data)


def test_without_i1_sample_names_are_left_for_sampling_to_check():
    SamplingDefaults(solver="anything").check(registry=Registry())
