"""The components of i1-plugin-signs."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_benchmarks() -> list[Component]:
    """Offers the benchmark of short signs."""
    return [Component("signs", "i1_plugin_signs.benchmark:SignsConfig", "short signs, read by an OCR engine")]
