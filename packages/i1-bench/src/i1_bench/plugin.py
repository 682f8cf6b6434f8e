"""The components of i1-bench."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_judges() -> list[Component]:
    """Offers the judges of this package."""
    return [
        Component(
            "scene_pixels",
            "i1_bench.scenes.judge:ScenePixels",
            "measures shapes, colours, places and letters of a scene",
        )
    ]
