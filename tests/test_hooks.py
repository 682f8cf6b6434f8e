"""Every hook has a page that says what its specification and its conformance suite say; its tests pass."""

import ast
import importlib.util
import inspect
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import jax
import pytest
from i1_hooks.hookspecs import KINDS, SUITES
from i1_hooks.testing import FUNCTION_KINDS, ComponentSuite, temporary_registry

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "hooks"
_spec = importlib.util.spec_from_file_location("write_hooks", ROOT / "docs" / "write_hooks.py")
write_hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(write_hooks)
EVENTS, SPECIFICATION, example_of = write_hooks.EVENTS, write_hooks.SPECIFICATION, write_hooks.example_of


def blocks_of(page):
    """Returns the Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("page", [*KINDS, "events"])
def test_the_page_is_what_docs_write_hooks_writes(page):
    path = PAGES / f"{page}.md"
    written = path.read_text()
    current = write_hooks.events_page(written) if page == "events" else write_hooks.page_of(page, written)
    assert written == current, "run python docs/write_hooks.py"


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_a_kind_has_example_and_demands(kind):
    text = (PAGES / f"{kind}.md").read_text()
    assert text.startswith(f"# {kind}\n\n{KINDS[kind][0].upper()}{KINDS[kind][1:]}.")
    example, tests = blocks_of(kind)
    assert example == example_of(f"i1_{kind}")
    if kind in FUNCTION_KINDS:
        assert "`i1_hooks.testing.check_plugin` is the conformance suite of this kind" in " ".join(
            text.split()
        )
        return
    module, _, name = SUITES[kind].partition(":")
    suite = write_hooks.suite_of(kind)
    assert f"`{suite.__module__}.{name}`" in text
    assert f"from {module} import " in tests
    assert f"({name}):" in tests
    demands = list(write_hooks.demands_of(suite))
    assert len(demands) >= 2
    for demand in demands:
        assert demand.endswith(".")
        assert demand in " ".join(text.split())


def test_every_kind_with_a_base_class_has_a_suite():
    assert set(SUITES) == set(KINDS) - set(FUNCTION_KINDS)
    for kind in SUITES:
        assert issubclass(write_hooks.suite_of(kind), ComponentSuite)


def sources_of_suites():
    files = {Path(inspect.getsourcefile(write_hooks.suite_of(kind))) for kind in SUITES}
    return sorted(files | {Path(inspect.getsourcefile(ComponentSuite))})


@pytest.mark.parametrize("file", sources_of_suites(), ids=lambda file: "/".join(file.parts[-3:]))
def test_a_suite_never_fails_without_a_sentence(file):
    tree = ast.parse(file.read_text())
    bare = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert) and node.msg is None]
    assert not bare, f"{file}: give the assertions of lines {bare} a sentence"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np.testing.assert"):
            named = [keyword.arg for keyword in node.keywords]
            assert "err_msg" in named, f"{file}: give the check of line {node.lineno} an err_msg"


@contextmanager
def plugin_of(kind, folder, monkeypatch):
    """Loads the example of a kind as `my_plugin`; gives the module and the registry."""
    file = folder / "my_plugin.py"
    file.write_text(example_of(f"i1_{kind}"))
    with temporary_registry(files=[file]) as registry:
        module = sys.modules["i1_plugin_my_plugin"]
        monkeypatch.setitem(sys.modules, "my_plugin", module)
        yield module, registry


def test_a_network_that_begins_at_zero_conforms(tmp_path, monkeypatch):
    with plugin_of("backbones", tmp_path, monkeypatch) as (module, _):

        class ZeroModule(module.PixelNetModule):
            def __init__(self, config, spec, key):
                super().__init__(config, spec, key)
                zeros = jax.nn.initializers.zeros
                self.head = module.Linear(config.hidden_width, spec.channels, key, init=zeros)

        monkeypatch.setattr(module.PixelNet, "build", lambda self, spec, key: ZeroModule(self, spec, key))
        suite = write_hooks.suite_of("backbones")()
        suite.component = module.PixelNet(hidden_width=16)
        for check in [name for name in dir(suite) if name.startswith("test_")]:
            getattr(suite, check)()


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_page_pass(kind, tmp_path, monkeypatch, request):
    _, tests = blocks_of(kind)
    with plugin_of(kind, tmp_path, monkeypatch) as (_, registry):
        (component,) = [c for c in registry.components(kind).values() if c.distribution == "my_plugin.py"]
        assert registry.load(kind, component.component.name)
        namespace = {}
        exec(tests, namespace)
        checks = [value for name, value in namespace.items() if name.startswith("test_")]
        for name, value in namespace.items():
            if name.startswith("Test"):
                checks += [getattr(value(), check) for check in dir(value) if check.startswith("test_")]
        for check in checks:
            fixtures = inspect.signature(check).parameters
            check(**{fixture: request.getfixturevalue(fixture) for fixture in fixtures})
    assert len(checks) >= 2


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


def test_a_page_without_a_part_is_named():
    with pytest.raises(ValueError, match="a page has no part '## Tests"):
        write_hooks.page_of("solvers", "# solvers\n\nx\n\n## Example\n```python\n```\n")


def test_no_page_without_a_hook():
    pages = {page.stem for page in PAGES.glob("*.md")}
    assert pages == {*KINDS, "events"}
