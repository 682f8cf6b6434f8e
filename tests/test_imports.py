"""Listing components stays light, in every package."""

import subprocess
import sys

import pytest
from i1_hooks import get_registry
from i1_hooks.testing import HEAVY, check_import

PACKAGES = ("i1_hooks", "i1_model", "i1_data", "i1_train", "i1_sample", "i1_server", "i1_bench", "i1_study")


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_and_their_plugins_import_nothing_heavy(package):
    check_import(package)
    check_import(f"{package}.plugin")


def test_the_vocabulary_of_scenes_imports_nothing_heavy():
    check_import("i1_scenes.vocabulary")


@pytest.mark.parametrize("arguments", [["--help"], ["plugins"]])
def test_help_and_plugins_import_nothing_heavy(arguments):
    code = (
        "import sys\nfrom i1_hooks.cli import main\nstatus = main(sys.argv[1:])\n"
        "print(status, *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    status, *imported = done.stderr.split()
    assert status == "0", done.stderr
    assert "sample" in done.stdout
    assert not set(imported) & set(HEAVY)


def test_no_plugin_fails():
    assert get_registry().failures == []
