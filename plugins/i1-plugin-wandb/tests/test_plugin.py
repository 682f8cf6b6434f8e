import i1_plugin_wandb.plugin
from i1_hooks.testing import HEAVY, check_import, check_plugin


def test_the_plugin_conforms():
    assert [found.component.name for found in check_plugin(i1_plugin_wandb.plugin)] == ["wandb"]


def test_listing_it_imports_nothing_heavy():
    check_import("i1_plugin_wandb.plugin")


def test_a_recipe_that_names_it_does_not_import_the_library():
    check_import("i1_plugin_wandb.logger", (*HEAVY, "wandb"))
