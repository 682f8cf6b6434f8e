import re
import sys
from types import SimpleNamespace

import pytest
from i1_hooks import Component, Registry, UserError, get_registry, hookimpl, set_registry, use_registry
from i1_hooks.hookspecs import KINDS
from i1_hooks.testing import temporary_registry


def plugin(**hooks):
    """A plugin object with one hook per keyword, each returning the given records."""
    made = SimpleNamespace()
    for name, value in hooks.items():

        def hook(value=value):
            return value

        hook.__name__ = name
        setattr(made, name, hookimpl(hook))
    return made


def adapter(name="mine", place="json:JSONDecoder"):
    return Component(name, place, "an adapter")


def source(name, made, distribution=None):
    return (name, distribution or f"dist-{name}", "1.0", lambda: made)


def test_components_are_found_with_their_distribution():
    registry = Registry([source("a", plugin(i1_adapters=[adapter()]))])
    found = registry.find("adapters", "mine")
    assert (found.distribution, found.version) == ("dist-a", "1.0")
    assert registry.installed() == {"dist-a": "1.0"}
    assert registry.plugins == {"a": ("dist-a", "1.0")}


def test_load_imports_only_when_asked(tmp_path, monkeypatch):
    (tmp_path / "lazy_code.py").write_text("class Outer:\n    class Inner: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry([source("a", plugin(i1_adapters=[adapter(place="lazy_code:Outer.Inner")]))])
    assert "lazy_code" not in sys.modules
    assert registry.load("adapters", "mine").__name__ == "Inner"
    del sys.modules["lazy_code"]


@pytest.mark.parametrize("place", ["no_such_module:X", "json:NoSuchName"])
def test_code_that_cannot_be_imported_is_named(place):
    registry = Registry([source("a", plugin(i1_adapters=[adapter(place=place)]))])
    with pytest.raises(UserError, match=re.escape(f"adapter 'mine' of dist-a: cannot import '{place}'")):
        registry.load("adapters", "mine")


def test_user_errors_of_component_code_pass_unchanged(tmp_path, monkeypatch):
    (tmp_path / "needs_extra.py").write_text(
        "from i1_hooks import UserError\nraise UserError('install the extra')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry([source("a", plugin(i1_adapters=[adapter(place="needs_extra:X")]))])
    with pytest.raises(UserError, match=r"^install the extra$"):
        registry.load("adapters", "mine")


def test_unknown_name_lists_choices_near_names_and_failed_plugins():
    def fail():
        raise OSError("no licence")

    registry = Registry(
        [
            source("good", plugin(i1_adapters=[adapter("transformer"), adapter("mlp")])),
            ("bad", "dist-bad", "1", fail),
        ]
    )
    with pytest.raises(UserError) as caught:
        registry.find("adapters", "transfomer")
    assert str(caught.value) == (
        "unknown adapter 'transfomer'; did you mean 'transformer'? choices: mlp, transformer. "
        "plugin 'bad' of dist-bad failed to load: OSError: no licence"
    )


def test_unknown_kind():
    with pytest.raises(UserError, match=r"unknown kind of component 'adapter'; did you mean 'adapters'"):
        Registry().components("adapter")


def test_a_contested_component_names_both_distributions():
    first, second = plugin(i1_adapters=[adapter()]), plugin(i1_adapters=[adapter(place="json:loads")])
    sources = [source("a", first), source("b", second)]
    registry = Registry(sources)
    assert registry.components("adapters") == {}
    assert list(registry.plugins) == ["a", "b"]
    message = "adapter 'mine' is offered by plugin 'a' of dist-a and plugin 'b' of dist-b; none is used"
    assert registry.warnings[0].startswith(message)
    for use in (lambda: registry.find("adapters", "mine"), lambda: Registry(sources, strict=True)):
        with pytest.raises(UserError, match=message):
            use()


def test_a_plugin_that_claims_a_name_twice_is_named():
    (warning,) = Registry([source("a", plugin(i1_adapters=[adapter(), adapter()]))]).warnings
    assert warning.startswith("adapter 'mine' is offered by plugin 'a' of dist-a and plugin 'a' of dist-a")


def test_one_name_in_two_kinds_is_fine():
    registry = Registry([source("a", plugin(i1_adapters=[adapter()], i1_solvers=[adapter()]))])
    assert list(registry.components("solvers")) == ["mine"]


def test_a_contested_plugin_name_names_both_distributions_and_loads_neither():
    sources = [
        ("a", "dist-1", "1", lambda: 1 / 0),
        source("a", plugin(i1_adapters=[adapter("y")]), "dist-2"),
        source("b", plugin(i1_adapters=[adapter("z")])),
    ]
    registry = Registry(sources)
    assert list(registry.components("adapters")) == ["z"]
    assert registry.failures == []
    message = "one name for plugins: plugin 'a' of dist-1 and plugin 'a' of dist-2; none is used"
    assert registry.warnings[0].startswith(message)
    with pytest.raises(UserError, match=message):
        Registry(sources, strict=True)
    with pytest.raises(UserError, match=rf"unknown adapter 'y'; choices: z\. {message}"):
        registry.find("adapters", "y")


def test_a_disabled_plugin_is_not_loaded():
    sources = [("a", "dist-a", "1", lambda: 1 / 0), source("b", plugin(i1_adapters=[adapter()]))]
    for disabled in (["a"], ["dist-a"]):
        registry = Registry(sources, disabled=disabled)
        assert registry.failures == []
        assert registry.disabled == [("a", "dist-a")]
        with pytest.raises(UserError, match="plugin 'a' of dist-a is disabled: `i1 plugins enable a`"):
            registry.find("adapters", "x")


def test_the_distributions_that_are_there_in_any_state():
    sources = [
        source("loaded", plugin()),
        ("broken", "dist-broken", "1", lambda: 1 / 0),
        source("off", plugin()),
        source("same", plugin(), "dist-1"),
        source("same", plugin(), "dist-2"),
    ]
    registry = Registry(sources, disabled=["off"])
    assert registry.distributions() == {"dist-loaded", "dist-broken", "dist-off", "dist-1", "dist-2"}
    assert list(registry.installed()) == ["dist-loaded"]


def unmarked():
    return []


BROKEN = {
    "misspelt": (plugin(i1_adapter=[]), "unknown hook 'i1_adapter'; did you mean 'i1_adapters'"),
    "unmarked": (SimpleNamespace(i1_adapters=unmarked), "hook 'i1_adapters' lacks its mark"),
    "not a list": (plugin(i1_adapters=None), "returned None, expected a list of i1_hooks.Component"),
    "one record": (plugin(i1_adapters=adapter()), "expected a list of i1_hooks.Component"),
    "no record": (plugin(i1_adapters=["mlp"]), "returned 'mlp', expected i1_hooks.Component records"),
    "arguments": (
        SimpleNamespace(i1_run_started=hookimpl(lambda workdir, speed: None)),
        "PluginValidationError",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plugin_is_reported_and_skipped_or_an_error_when_strict(case):
    made, message = BROKEN[case]
    good = source("good", plugin(i1_solvers=[adapter()]))
    registry = Registry([source("bad", made), good])
    assert [failure.plugin for failure in registry.failures] == ["bad"]
    assert message in registry.failures[0].reason
    assert "\n" not in registry.failures[0].reason
    assert list(registry.plugins) == ["good"]
    assert list(registry.components("adapters")) == []
    assert [name for name, _ in registry.manager.list_name_plugin()] == ["good"]
    with pytest.raises(UserError, match="plugin 'bad' of dist-bad failed to load"):
        Registry([source("bad", made), good], strict=True)


@pytest.mark.parametrize("stop", [SystemExit(3), RuntimeError("two\nlines")])
def test_a_plugin_may_fail_in_any_way(stop):
    def load():
        raise stop

    (failure,) = Registry([("bad", "d", "1", load)]).failures
    assert failure.reason.startswith(type(stop).__name__)
    assert "\n" not in failure.reason


def test_lifecycle_hooks_reach_every_plugin(tmp_path):
    seen = []

    class Watcher:
        @hookimpl
        def i1_checkpoint_saved(self, model, step):
            seen.append((model, step))

    registry = Registry([source("a", Watcher()), source("b", Watcher())])
    registry.manager.hook.i1_checkpoint_saved(workdir=tmp_path, model=tmp_path, step=7, prompts=("a",))
    assert seen == [(tmp_path, 7)] * 2


FILE = """
from dataclasses import dataclass
from i1_hooks import Component, ComponentConfig, hookimpl

class Base(ComponentConfig, kind="adapters"): pass

@dataclass(frozen=True, kw_only=True)
class Mine(Base):
    width: int = 3

@hookimpl
def i1_adapters():
    return [Component("mine", f"{__name__}:Mine", "from a file")]
"""


def test_plugin_file(tmp_path):
    file = tmp_path / "my-plugin.py"
    file.write_text(FILE)
    registry = Registry(files=[file])
    found = registry.find("adapters", "mine")
    assert found.distribution == "my-plugin.py"
    assert found.version.startswith("sha256:")
    assert registry.name_of(registry.load("adapters", "mine")) == "mine"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent.py", None, "no file"),
        ("broken.py", "def", "SyntaxError"),
        ("raises.py", "1 / 0", "ZeroDivisionError"),
        ("plugin.txt", "", "must end in .py"),
    ],
)
def test_bad_plugin_file_is_an_error(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        Registry(files=[tmp_path / name])


def test_two_files_with_one_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("")
    with pytest.raises(UserError, match=r"two plugins are named 'i1_plugin_mine': one of mine\.py"):
        Registry(files=[tmp_path / "a" / "mine.py", tmp_path / "b" / "mine.py"])


def test_name_of_a_class_that_no_plugin_offers():
    with pytest.raises(UserError, match="has no kind of component"):
        Registry().name_of(int)


def test_use_registry_restores_the_previous_one():
    before, inside = Registry(), Registry()
    set_registry(before)
    try:
        with use_registry(inside):
            assert get_registry() is inside
        assert get_registry() is before
    finally:
        set_registry(None)


def test_temporary_registry_adds_to_the_installed_plugins():
    with temporary_registry(plugin(i1_adapters=[adapter("only-here")])) as registry:
        assert get_registry() is registry
        assert registry.find("adapters", "only-here")
        assert registry.find("commands", "plugins").distribution == "i1-hooks"
    assert "only-here" not in get_registry().components("adapters")


def test_every_kind_has_a_specification_and_the_reverse():
    hooks = {name for name in vars(Registry().manager.hook) if name.startswith("i1_")}
    lifecycle = {"i1_run_started", "i1_checkpoint_saved", "i1_run_finished"}
    assert hooks == {f"i1_{kind}" for kind in KINDS} | lifecycle


@pytest.mark.parametrize(
    ("name", "config", "summary"),
    [
        *(("", "a:B", "x"), ("two words", "a:B", "x"), ("-x", "a:B", "x")),
        *(("x", "a.b", "x"), ("x", "a:", "x"), ("x", "a:b c", "x")),
        *(("x", "a:B", ""), ("x", "a:B", "two\nlines")),
    ],
)
def test_malformed_records(name, config, summary):
    with pytest.raises(UserError, match="component"):
        Component(name, config, summary)
