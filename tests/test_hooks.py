"""Every hook has a page, and the example in its specification is a plugin that works."""

import dataclasses
import inspect
import re
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from i1_hooks import cli, get_registry
from i1_hooks.hookspecs import KINDS, SPECIFICATIONS
from i1_hooks.testing import check_plugin, temporary_registry
from i1_model.flow import RectifiedFlow

ROOT = Path(__file__).parents[1]
SPECIFICATION = {
    name: value for module in SPECIFICATIONS for name, value in vars(module).items() if name.startswith("i1_")
}
EVENTS = sorted(set(SPECIFICATION) - {f"i1_{kind}" for kind in KINDS})


def example_of(hook):
    """Returns the plugin file in the docstring of a specification."""
    _, found, example = (inspect.getdoc(SPECIFICATION[hook]) or "").partition("Example:\n")
    assert found, f"{hook} has no example"
    return textwrap.dedent(example).strip() + "\n"


@pytest.fixture
def offered(request, tmp_path):
    """Returns what the example of a kind offers, loaded from a file as `--plugin` loads it."""
    kind = request.node.name.removeprefix("test_").removesuffix("_example")
    file = tmp_path / f"{kind}_example.py"
    file.write_text(example_of(f"i1_{kind}"))
    with temporary_registry(files=[file]) as registry:
        (found,) = check_plugin(registry.manager.get_plugin(f"i1_plugin_{kind}_example"))
        assert found.kind == kind
        yield registry.load(kind, found.component.name)


def test_every_kind_has_an_example_that_runs():
    tests = {name for name in globals() if name.startswith("test_") and name.endswith("_example")}
    assert tests == {f"test_{kind}_example" for kind in KINDS}


def test_backbones_example(offered):
    from i1_model.backbones import Conditioning, LatentSpec

    spec = LatentSpec(height=4, width=4, channels=3, resolution=16, num_text_tokens=5)
    backbone = offered(hidden_width=8).build(spec, jax.random.key(0))
    text = backbone.condition(jnp.ones((2, 5, 8)), jnp.ones((2, 5), bool))
    assert isinstance(text, Conditioning)
    prediction = backbone(jnp.ones((2, 4, 4, 3)), jnp.array([0.0, 0.5]), text)
    assert (prediction.shape, prediction.dtype) == ((2, 4, 4, 3), jnp.float32)
    assert not np.allclose(prediction[0], prediction[1]), "the time changes nothing"


def test_adapters_example(offered):
    adapter = offered().build(4, 6, jax.random.key(0))
    assert adapter(jnp.ones((2, 5, 4)), jnp.ones((2, 5), bool)).shape == (2, 5, 6)


def test_text_encoders_example(offered):
    from i1_model.testing.text_encoders import TextEncoderSuite

    run_suite(TextEncoderSuite, offered())


def test_autoencoders_example(offered):
    from i1_model.testing.autoencoders import AutoencoderSuite

    run_suite(AutoencoderSuite, offered(), reconstruction_error=0.2)


def test_flows_example(offered):
    times = offered(power=2.0).sample_times(jax.random.key(0), 4096)
    assert times.shape == (4096,)
    assert float(times.mean()) == pytest.approx(1 / 3, abs=0.02)


def test_objectives_example(offered):
    objective, flow, data = offered(), RectifiedFlow(), jnp.ones((2, 4, 4, 3))
    example = objective.draw(flow, jax.random.key(0), data)
    perfect = flow.target(example["noise"], data, example["time"])
    np.testing.assert_allclose(objective.losses(flow, perfect, example), jnp.zeros(2), atol=1e-6)
    np.testing.assert_allclose(objective.losses(flow, perfect + 0.5, example), jnp.full(2, 0.5), atol=1e-5)


def test_optimizers_example(offered):
    params = {"kernel": jnp.ones((2, 2))}
    transformation = offered().build(lambda step: 0.1, {})
    updates, _ = transformation.update(params, transformation.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["kernel"], jnp.full((2, 2), 0.9))


def test_schedules_example(offered):
    schedule = offered(lr=1.0, start=100).build(1000)
    rates = [float(schedule(jnp.int32(step))) for step in (0, 100, 400)]
    assert rates == pytest.approx([1.0, 1.0, 0.5])


def test_sources_example(offered):
    from i1_data.testing import SourceSuite

    run_suite(SourceSuite, offered())


def test_filters_example(offered):
    from i1_data.testing import FilterSuite

    run_suite(FilterSuite, offered(word="1"))


def test_captioners_example(offered):
    from i1_data.testing import CaptionerSuite

    run_suite(CaptionerSuite, offered())
    assert offered().caption(["a", "abc", "ab"], np.random.default_rng(0)) == "abc"


def test_mixings_example(offered):
    from i1_data.testing import MixingSuite

    run_suite(MixingSuite, offered())
    assert offered(temperature=2.0).proportions([4, 9]) == (2.0, 3.0)


def test_solvers_example(offered):
    from i1_sample.testing import SolverSuite

    run_suite(SolverSuite, offered())


def test_time_grids_example(offered):
    from i1_sample.testing import TimeGridSuite

    run_suite(TimeGridSuite, offered())


def test_guidances_example(offered):
    from i1_sample.testing import GuidanceSuite

    run_suite(GuidanceSuite, offered())


def test_rewriters_example(offered):
    assert offered().rewrite([" a red circle. ", "b"]) == ["a red circle", "b"]


def test_loggers_example(offered, tmp_path):
    logger = offered().build(tmp_path, 0)
    logger.log(1, {"loss": 0.5})
    logger.flush()
    logger.close()
    assert (tmp_path / "loss.txt").read_text() == "1 0.5\n"


def test_judges_example(offered):
    judge = offered().build()
    assert judge.judge(np.full((4, 4, 3), 100, np.uint8), 105).right
    assert not judge.judge(np.full((4, 4, 3), 100, np.uint8), 200).right


def test_benchmarks_example(offered):
    benchmark = offered().build()
    requests = benchmark.requests(2, seed=0)
    judge = benchmark.judge()
    pictures = [np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)]
    verdicts = [judge.judge(p, request.prompt.spec) for p, request in zip(pictures, requests, strict=True)]
    scores = benchmark.scores([request.prompt for request in requests], verdicts, 0)
    assert scores["score"] == 0.5
    assert "0.50" in benchmark.headline(scores)


def test_models_example(offered, tmp_path):
    with pytest.raises(ValueError, match="no folder"):
        offered()
    (tmp_path / "my_model").mkdir()
    assert offered() == tmp_path / "my_model"


def test_recipes_example(offered):
    base = get_registry().load("recipes", "scenes")()
    assert offered() == dataclasses.replace(
        base, recipe="patient", schedule=offered().schedule, steps=2 * base.steps
    )
    assert offered().schedule.lr == base.schedule.lr / 2


def test_commands_example(offered, tmp_path, capsys):
    file = tmp_path / "commands_example.py"
    assert cli.main(["count", "commands", "--plugin", str(file)]) == 0
    assert int(capsys.readouterr().out) >= 3


def run_suite(suite, config, **attributes):
    """Runs every test of a conformance suite on one configuration."""
    case = type("Case", (suite,), {"config": config, **attributes})()
    tests = [name for name in dir(case) if name.startswith("test_")]
    assert tests
    for name in tests:
        getattr(case, name)()


@pytest.mark.parametrize("event", EVENTS)
def test_lifecycle_examples(event, tmp_path):
    file = tmp_path / "event_example.py"
    file.write_text(example_of(event))
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    arguments = {"workdir": tmp_path, "recipe": "scenes", "step": 7, "status": "done", "prompts": ()}
    names = inspect.signature(SPECIFICATION[event]).parameters
    with temporary_registry(files=[file]) as registry:
        caller = registry.manager.subset_hook_caller(
            event,
            [p for p in registry.manager.get_plugins() if p.__name__ != "i1_plugin_event_example"],
        )
        caller(**{name: {**arguments, "model": model}[name] for name in names})
    expected = {
        "i1_run_started": ("starts.txt", "scenes 7\n"),
        "i1_checkpoint_saved": ("every_model/7/config.json", "{}"),
        "i1_run_finished": ("ended.txt", "done after 7 steps"),
    }
    written, text = expected[event]
    assert (tmp_path / written).read_text() == text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page_with_the_example_of_its_specification(kind):
    text = (ROOT / "docs" / "hooks" / f"{kind}.md").read_text()
    assert text.startswith(f"# {kind}\n\n{KINDS[kind][0].upper()}{KINDS[kind][1:]}.")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert example_of(f"i1_{kind}") in blocks, "the example is not that of the specification"


def test_the_page_of_events_has_their_examples():
    text = (ROOT / "docs" / "hooks" / "events.md").read_text()
    for event in EVENTS:
        assert f"```python\n{example_of(event)}```" in text


def test_no_page_without_a_hook():
    pages = {page.stem for page in (ROOT / "docs" / "hooks").glob("*.md")}
    assert pages == {*KINDS, "events"}
