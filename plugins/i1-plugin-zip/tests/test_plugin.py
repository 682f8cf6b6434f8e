import re
from pathlib import Path

import i1_plugin_zip.plugin
from i1_hooks.testing import check_import, check_plugin


def test_the_plugin_conforms():
    assert [found.component.name for found in check_plugin(i1_plugin_zip.plugin)] == ["zip"]


def test_listing_it_imports_nothing_heavy():
    check_import("i1_plugin_zip.plugin")


def test_the_example_of_the_readme_runs():
    text = (Path(__file__).parent.parent / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["data"].sources[0].path == "pictures.zip"
