"""Every hook has a page whose example is that of its specification, and whose tests pass."""

import inspect
import re
import sys
import textwrap
from pathlib import Path

import pytest
from i1_hooks.hookspecs import KINDS, SPECIFICATIONS
from i1_hooks.testing import temporary_registry

PAGES = Path(__file__).parents[1] / "docs" / "hooks"
SPECIFICATION = {
    name: value for module in SPECIFICATIONS for name, value in vars(module).items() if name.startswith("i1_")
}
EVENTS = sorted(set(SPECIFICATION) - {f"i1_{kind}" for kind in KINDS})


def example_of(hook):
    """Returns the plugin file in the docstring of a specification."""
    _, found, example = (inspect.getdoc(SPECIFICATION[hook]) or "").partition("Example:\n")
    assert found, f"{hook} has no example"
    return textwrap.dedent(example).strip().replace("'''", '"""') + "\n"


def blocks_of(page):
    """Returns the Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_a_kind_has_the_example_of_its_specification(kind):
    text = (PAGES / f"{kind}.md").read_text()
    assert text.startswith(f"# {kind}\n\n{KINDS[kind][0].upper()}{KINDS[kind][1:]}.")
    example, _ = blocks_of(kind)
    assert example == example_of(f"i1_{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_page_pass(kind, tmp_path, monkeypatch, request):
    example, tests = blocks_of(kind)
    file = tmp_path / "my_plugin.py"
    file.write_text(example)
    with temporary_registry(files=[file]) as registry:
        monkeypatch.setitem(sys.modules, "my_plugin", sys.modules["i1_plugin_my_plugin"])
        (component,) = [c for c in registry.components(kind).values() if c.distribution == file.name]
        assert registry.load(kind, component.component.name)
        namespace = {}
        exec(tests, namespace)
        count = 0
        for name, value in namespace.items():
            if name.startswith("test_"):
                value(
                    **{
                        fixture: request.getfixturevalue(fixture)
                        for fixture in inspect.signature(value).parameters
                    }
                )
                count += 1
            elif name.startswith("Test"):
                suite = [method for method in dir(value) if method.startswith("test_")]
                for method in suite:
                    getattr(value(), method)()
                count += len(suite)
    assert count >= 2


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


def test_the_page_of_events_has_their_examples():
    assert sorted(blocks_of("events")) == sorted(example_of(event) for event in EVENTS)


def test_no_page_without_a_hook():
    pages = {page.stem for page in PAGES.glob("*.md")}
    assert pages == {*KINDS, "events"}
