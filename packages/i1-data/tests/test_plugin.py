import pytest
from i1_data import plugin
from i1_hooks.testing import check_import, check_plugin


def test_every_component_is_sound() -> None:
    offered = {(found.kind, found.component.name) for found in check_plugin(plugin)}
    assert ("sources", "image_folder") in offered
    assert ("mixings", "equal") in offered


@pytest.mark.parametrize("module", ["i1_data", "i1_data.plugin"])
def test_importing_it_stays_light(module: str) -> None:
    check_import(module)


def test_public_names_come_from_their_modules() -> None:
    import i1_data

    for name in ("Batches", "DataConfig", "Record", "SourceConfig", "make_batches"):
        assert name in dir(i1_data)
        assert getattr(i1_data, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Pipeline'"):
        _ = i1_data.Pipeline
