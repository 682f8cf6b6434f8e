"""The components of i1-plugin-zip."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_sources() -> list[Component]:
    """Offers captioned images of a ZIP archive."""
    return [
        Component(
            "zip", "i1_plugin_zip.source:ZipSource", "captioned images inside a ZIP archive, read in place"
        )
    ]
