import i1_plugin_zip.plugin
from i1_hooks.testing import check_import, check_plugin


def test_the_plugin_conforms():
    assert [found.component.name for found in check_plugin(i1_plugin_zip.plugin)] == ["zip"]


def test_listing_it_imports_nothing_heavy():
    check_import("i1_plugin_zip.plugin")
