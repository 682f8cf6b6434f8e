import sys

import pytest
from i1_hooks.lazy import lazy_exports


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "lazy_example"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from i1_hooks.lazy import lazy_exports\n"
        "HERE = 1\n"
        "__getattr__, __dir__ = lazy_exports(__name__, {'Thing': 'lazy_example.things'})\n"
    )
    (folder / "things.py").write_text("class Thing: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazy_example"]:
        del sys.modules[name]


def test_a_name_is_imported_on_first_use(package):
    import lazy_example

    assert "lazy_example.things" not in sys.modules
    assert lazy_example.Thing is sys.modules["lazy_example.things"].Thing
    assert lazy_example.Thing is lazy_example.Thing


def test_dir_lists_both_kinds_of_names(package):
    import lazy_example

    assert {"HERE", "Thing", "__name__"} <= set(dir(lazy_example))
    assert "lazy_example.things" not in sys.modules


def test_another_name_is_refused_as_by_any_module(package):
    import lazy_example

    with pytest.raises(AttributeError, match="module 'lazy_example' has no attribute 'Thin'"):
        _ = lazy_example.Thin


def test_a_name_that_its_module_lacks():
    get, _ = lazy_exports("x", {"Decoder": "json.decoder"})
    with pytest.raises(AttributeError, match=r"json\.decoder"):
        get("Decoder")
