"""A recipe's sampling components are checked when the recipe is."""

import pytest
from i1_hooks import UserError
from i1_model.sampling import SamplingDefaults


def test_every_slot_takes_a_component_with_fields():
    SamplingDefaults(
        solver={"component": "ancestral", "eta": 0.5},
        time_grid={"component": "linear_quadratic", "threshold": 0.2},
        guidance={"component": "cfg", "rescale": 0.5, "interval_start": 0.1},
        rewriter={"component": "template", "template": "{prompt}, on white"},
    ).check()


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"solver": "eulr"}, "unknown solver 'eulr'; did you mean 'euler'"),
        ({"solver": {"component": "ancestral", "eta": 2.0}}, "sampling.solver: ancestral: eta must be"),
        ({"guidance": {"component": "cfg", "rescal": 1}}, "'sampling.guidance.rescal'; did you mean"),
        ({"time_grid": {"component": "shifted", "shift": "x"}}, "sampling.time_grid.shift: expected float"),
        ({"rewriter": {"component": "template", "template": "x"}}, "sampling.rewriter: .*must contain"),
    ],
)
def test_a_mistake_in_a_slot_is_found(slots, message):
    with pytest.raises(UserError, match=message):
        SamplingDefaults(**slots).check()
