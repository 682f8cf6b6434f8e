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


@hookimpl
def i1_benchmarks() -> list[Component]:
    """Offers the benchmarks of this package."""
    return [
        Component(
            "scenes",
            "i1_bench.scenes.benchmark:ScenesConfig",
            "flat shapes and short words, in seen and unseen combinations",
        )
    ]


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 bench`."""
    return [Component("bench", "i1_bench.cli:main", "score generated pictures")]
