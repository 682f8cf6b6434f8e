import importlib
from types import SimpleNamespace

import i1_hooks.plugin
import pytest
from i1_hooks import Component, UserError, hookimpl
from i1_hooks.testing import ComponentSuite, check_import, check_plugin, temporary_registry

GOOD = '''
from dataclasses import dataclass
from i1_hooks import Component, ComponentConfig, hookimpl

class Base(ComponentConfig, kind="adapters"):
    """Base."""

@dataclass(frozen=True, kw_only=True)
class Mine(Base):
    """Mine."""
    width: int = 3

@hookimpl
def i1_adapters():
    return [Component("only-in-this-test", f"{__name__}:Mine", "from a file")]
'''


def load(tmp_path, text):
    file = tmp_path / "a_plugin.py"
    file.write_text(text)
    with temporary_registry(files=[file]) as registry:
        return registry.manager.get_plugin("i1_plugin_a_plugin")


def test_the_plugin_of_this_package():
    assert [found.component.name for found in check_plugin(i1_hooks.plugin)] == ["plugins", "doctor"]


def test_a_good_plugin(tmp_path):
    (found,) = check_plugin(load(tmp_path, GOOD))
    assert found.component.name == "only-in-this-test"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("frozen=True, kw_only=True", "frozen=True", "must be @dataclass"),
        ("frozen=True, kw_only=True", "kw_only=True", "must be @dataclass"),
        ("@dataclass(frozen=True, kw_only=True)\n", "", "is not a dataclass"),
        ('    """Mine."""\n', "    __doc__ = None\n", "has no docstring"),
        ('kind="adapters"', 'kind="solvers"', "is of kind 'solvers'"),
        ("class Mine(Base)", "class Mine", "not a subclass"),
        ("\n@hookimpl", "\nOther = Mine\n@hookimpl", None),
        (":Mine", ":Other", "is registered as i1_plugin_a_plugin:Other but defined as"),
        ("width: int = 3", "width: float = 3", None),
        ("width: int = 3", 'width: tuple[str, ...] = ["a"]', "mutable default"),
        ("width: int = 3", "width: str = 3", "expected str, got 3"),
    ],
)
def test_what_the_suite_catches(tmp_path, old, new, message):
    text = GOOD.replace("\n@hookimpl", "\nOther = Mine\n\n@hookimpl").replace(old, new)
    if message is None:
        check_plugin(load(tmp_path, text))
        return
    with pytest.raises((AssertionError, UserError), match=message):
        check_plugin(load(tmp_path, text))


def takes_two(first, second):
    """Takes too many."""


def test_functions_take_the_arguments_of_their_kind(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "some_module", SimpleNamespace(takes_two=takes_two, number=3))

    def commands():
        return [Component("two", "some_module:takes_two", "x"), Component("three", "some_module:number", "x")]

    with pytest.raises(AssertionError) as caught:
        check_plugin(SimpleNamespace(i1_commands=hookimpl(commands)))
    assert "some_module:takes_two must take 1 arguments" in str(caught.value)
    assert "some_module:number is 3, not a function" in str(caught.value)


def test_check_plugin_refuses_the_name_of_a_built_in():
    def commands():
        return [Component("doctor", "json:loads", "x")]

    with pytest.raises(UserError, match="command 'doctor' is offered by plugin 'hooks' of i1-hooks and"):
        check_plugin(SimpleNamespace(i1_commands=hookimpl(commands)))


def test_check_import(tmp_path, monkeypatch):
    check_import("i1_hooks.cli")
    with pytest.raises(AssertionError, match="import i1_hooks imports pluggy"):
        check_import("i1_hooks", forbidden=["pluggy"])
    with pytest.raises(AssertionError, match="import no_such_module fails: ModuleNotFoundError"):
        check_import("no_such_module")


def test_the_suite_of_all_components_checks_the_round_trip(tmp_path):
    file = tmp_path / "odd.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from i1_hooks import Component, ComponentConfig, hookimpl\n"
        "class Base(ComponentConfig, kind='rewriters'): ...\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Odd(Base):\n"
        "    values: tuple[float, ...] = (1.0,)\n"
        "@hookimpl\n"
        "def i1_rewriters():\n"
        "    return [Component('odd', f'{__name__}:Odd', 'odd')]\n"
    )
    with temporary_registry(files=[file]) as registry:
        suite = ComponentSuite()
        suite.component = registry.load("rewriters", "odd")()
        suite.test_config_survives_json()
        suite.component = registry.load("rewriters", "odd")(values=[1.0])
        with pytest.raises(AssertionError, match=r"values: \[1.0\] becomes \(1.0,\) when it is written"):
            suite.test_config_survives_json()
        suite.checks_json = False
        suite.test_config_survives_json()


@pytest.mark.parametrize("place", ["heavy_package.plugin", "heavy_single"])
def test_a_packaged_plugin_must_import_nothing_heavy(place, tmp_path, monkeypatch):
    (tmp_path / "heavy_package").mkdir()
    (tmp_path / "heavy_package" / "__init__.py").write_text("")
    (tmp_path / "heavy_package" / "plugin.py").write_text("import numpy\n")
    (tmp_path / "heavy_single.py").write_text("import numpy\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(place)
    if "." in place:
        with pytest.raises(
            AssertionError, match=rf"import {place} imports numpy, and so does every `i1` command"
        ):
            check_plugin(module)
    else:
        check_plugin(module)  # a single file holds its components, too
        info = tmp_path / "heavy_dist-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: heavy-dist\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[i1]\nheavy = heavy_single\n")
        with pytest.raises(AssertionError, match="import heavy_single imports numpy"):
            check_plugin(module)
